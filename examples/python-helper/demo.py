"""The demo: `up`, two `apply`s, `wait`, and questions. Run by `make demo`.

Everything it does can be done by hand with the `modelyard` command; README.md has the same steps.
"""

import signal

INTERRUPTIBLE = signal.getsignal(signal.SIGINT) is signal.default_int_handler
if INTERRUPTIBLE:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends the demo without a traceback while the rest is imported

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from openai import OpenAI
from rich.console import Console
from rich.markup import escape

from modelyard.domain.errors import ModelyardError
from modelyard.operator import platform
from modelyard.operator.settings import Settings
from modelyard.operator.state import read_state

sys.path.insert(0, str(Path(__file__).parent))
from demo_report import build_report, show_report, write_report
from demo_stages import watch_stages

HERE = Path(__file__).parent
MODELYARD = Path(sys.executable).with_name("modelyard")
QUESTION = "What exception does a failing assert statement raise?"

console = Console()


def main() -> int:
    """Run the demo; 0 when the tuned model was promoted and the answer is grounded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the platform running")
    keep = parser.parse_args().keep
    if INTERRUPTIBLE:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = Settings()
    started = read_state(settings) is None
    try:
        return run(settings, started, keep)
    except ModelyardError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nstopped; run it again to go on where it was")
        return 130
    finally:
        if started and not keep:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave something running
            with console.status("stopping what was started; this takes some seconds"):
                platform.down(settings)


def run(settings: Settings, started: bool, keep: bool) -> int:
    began = time.monotonic()
    seconds: dict[str, float] = {}
    if started:
        with console.status("starting Ray, Ray Serve and Milvus Lite on 127.0.0.1") as status:
            platform.up(settings, lambda what: status.update(f"{what} …"))
        seconds["up"] = time.monotonic() - began
        console.print(f"[green]✓[/green] platform is up in {seconds['up']:.0f} s")
    else:
        state = read_state(settings)
        assert state is not None
        settings = settings.model_copy(update={"port": state.port, "dashboard_port": state.dashboard_port})
        console.print("[green]✓[/green] the platform was up already")
    subprocess.run([sys.executable, HERE / "build_data.py"], check=True, stdout=subprocess.DEVNULL)
    for manifest in ("knowledgebase.yaml", "model.yaml"):
        subprocess.run([MODELYARD, "apply", "-f", HERE / manifest], check=True)
    model, seconds_of_jobs = watch_stages(settings, console, "python-helper", "python-docs")
    seconds |= seconds_of_jobs
    began_asking = time.monotonic()
    with console.status("asking both models"):
        answers = ask(settings)
    seconds["questions"] = time.monotonic() - began_asking
    seconds["total"] = time.monotonic() - began
    report = build_report(settings, model, answers, seconds)
    folder = write_report(settings, report)
    show_report(console, report, folder, keep)
    return 0 if report["gate"]["passed"] and report["grounded"] else 1


def ask(settings: Settings) -> dict[str, Any]:
    """One extraction by both models, and one question answered from the documents."""
    client = OpenAI(base_url=settings.endpoint, api_key="unused", max_retries=3)
    row = json.loads((HERE / "data" / "heldout.jsonl").read_text().splitlines()[0])
    prompt, gold = row["messages"][:-1], row["messages"][-1]["content"]
    extraction: dict[str, Any] = {"input": prompt[-1]["content"], "expected": gold}
    for key, name in {"base": "python-helper:base", "tuned": "python-helper"}.items():
        completion = client.chat.completions.create(model=name, messages=prompt, temperature=0, max_tokens=160)
        extraction[key] = completion.choices[0].message.content
    grounded = client.chat.completions.create(
        model="python-helper:base",
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=120,
        extra_body={"tools": [{"type": "file_search", "vector_store_ids": ["python-docs"]}]},
    )
    return {"extraction": extraction, "question": QUESTION, "grounded": grounded.to_dict()}


if __name__ == "__main__":
    sys.exit(main())
