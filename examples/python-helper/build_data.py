"""Write the data of this example from CPython itself, so that nothing has to be downloaded.

data/train.jsonl     help text of a function → a JSON record of its signature, to learn from
data/heldout.jsonl   the same for modules that train.jsonl has nothing of, to score on
data/docs/*.md       the language reference, one file a topic, to answer from

What is right is known without a person or a model: `inspect.signature` and the docstring say it.
The same Python gives the same bytes.
"""

import argparse
import importlib
import inspect
import json
import pydoc
import random
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

HELD_OUT_MODULES = ("bisect", "fnmatch", "heapq", "json", "shutil", "statistics", "tempfile", "textwrap")
TRAIN_MODULES = (
    *("abc", "ast", "asyncio", "base64", "binascii", "calendar", "cmath", "codecs", "compileall", "contextlib", "copy", "csv"),
    *("dataclasses", "difflib", "dis", "email.utils", "enum", "filecmp", "fileinput", "functools", "gc", "getopt", "getpass", "glob"),
    *("gzip", "hashlib", "hmac", "html", "importlib", "inspect", "io", "ipaddress", "linecache", "locale", "logging", "lzma", "marshal"),
    *("math", "mimetypes", "operator", "os", "os.path", "pickle", "pickletools", "pkgutil", "platform", "plistlib", "pprint"),
    *("py_compile", "quopri", "random", "re", "runpy", "secrets", "shlex", "signal", "site", "socket", "sqlite3", "ssl", "string"),
    *("struct", "subprocess", "sysconfig", "tarfile", "threading", "timeit", "token", "tokenize", "traceback", "tracemalloc"),
    *("types", "typing", "unicodedata", "urllib.parse", "urllib.request", "uuid", "warnings", "weakref", "webbrowser"),
    *("wsgiref.util", "xml.dom.minidom", "xml.etree.ElementTree", "zipapp", "zlib"),
)
"""All are there, and import without effects or warnings, in CPython 3.11, 3.12 and 3.13."""

IMPLEMENTATIONS = {"os.path": ("posixpath", "ntpath", "genericpath"), "pickle": ("_pickle",), "xml.etree.ElementTree": ("_elementtree",)}
"""Where the functions of a module say they come from, when that is neither the module nor `_module`."""

INSTRUCTION = (
    "Turn this Python help text into one JSON object with the fields name, parameters (list in order, each NAME or "
    "NAME=DEFAULT), summary (the first sentence) and returns (what it returns, in the words of the text, or null). "
    "Answer with JSON only."
)
HELP_CHARACTERS = 180
SUMMARY_CHARACTERS = 100
MAX_PARAMETERS = 7
ROWS_PER_MODULE = {"train": 16, "heldout": 8}
PLAIN_SHARE = 0.25
"""Of the rows to learn from: those with two parameters at most, no default and no return. Most functions are so, and teach little."""
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the data of this example from CPython itself.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "data", help="the folder to write to (default: %(default)s)")
    out = parser.parse_args().out
    train, held_out = build_rows()
    write_rows(out / "train.jsonl", train)
    write_rows(out / "heldout.jsonl", held_out)
    pages = build_pages()
    (out / "docs").mkdir(exist_ok=True)
    for topic, page in pages.items():
        (out / "docs" / f"{topic}.md").write_text(page, encoding="utf-8")
    print(f"{len(train)} rows to learn from, {len(held_out)} to score on and {len(pages)} documents are in {out}")


def build_rows() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Chat rows to learn from and to score on; no function and no summary is in both, or twice in one."""
    seen: set[str] = set()
    held_out = [row for module in HELD_OUT_MODULES for row in rows_of(module, ROWS_PER_MODULE["heldout"], seen)]
    train = thin_out([row for module in TRAIN_MODULES for row in rows_of(module, ROWS_PER_MODULE["train"], seen)])
    random.Random(SEED).shuffle(held_out)
    random.Random(SEED).shuffle(train)
    return train, held_out


def thin_out(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep as many plain rows as make up their share."""
    plain = [row for row in rows if is_plain(row)]
    telling = [row for row in rows if not is_plain(row)]
    return telling + random.Random(SEED).sample(plain, min(len(plain), round(len(telling) * PLAIN_SHARE / (1 - PLAIN_SHARE))))


def is_plain(row: dict[str, Any]) -> bool:
    record = json.loads(row["messages"][-1]["content"])
    return record["returns"] is None and len(record["parameters"]) <= 2 and not any("=" in text for text in record["parameters"])


def rows_of(module: str, limit: int, seen: set[str]) -> list[dict[str, Any]]:
    rows = []
    for text, record in examples(module):
        if record["summary"] not in seen:
            seen.add(record["summary"])
            answer = json.dumps(record, ensure_ascii=False)
            question = {"role": "user", "content": f"{INSTRUCTION}\n\n{text}"}
            rows.append({"messages": [question, {"role": "assistant", "content": answer}]})
    return random.Random(f"{SEED} {module}").sample(rows, min(limit, len(rows)))


def examples(module: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(help text, record) of each fit function that a module defines, by name."""
    namespace = vars(importlib.import_module(module))
    homes = (module, f"_{module}", *IMPLEMENTATIONS.get(module, ()))
    for name, function in sorted(namespace.items()):
        if name.startswith("_") or not inspect.isroutine(function) or getattr(function, "__module__", None) not in homes:
            continue
        record, text = describe(function), cut(help_text(function))
        if record is not None and record["name"] == name and record["summary"] in " ".join(text.split()):
            yield text, record


def describe(function: Any) -> dict[str, Any] | None:
    """The record of a function, or None where it has no signature, no sentence, or too much of either."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    summary = first_sentence(inspect.getdoc(function) or "")
    # "<" shows an object that has no source text; some hold an address, which differs from run to run.
    if not summary or "<" in str(signature) or len(signature.parameters) > MAX_PARAMETERS:
        return None
    return {
        "name": function.__name__,
        "parameters": [write_parameter(parameter) for parameter in signature.parameters.values()],
        "summary": summary,
        "returns": describe_return(signature, summary),
    }


def write_parameter(parameter: inspect.Parameter) -> str:
    """`name`, `*name`, `**name` or `name=default`, without annotations."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
    return f"{stars.get(parameter.kind, '')}{parameter.name}{default}"


def describe_return(signature: inspect.Signature, summary: str) -> str | None:
    """The annotation, else what a summary that begins with "Return" says; None where neither does."""
    if signature.return_annotation is not signature.empty:
        return inspect.formatannotation(signature.return_annotation)
    found = re.match(r"Returns? (.+)\.$", summary)
    return found.group(1) if found else None


def first_sentence(docstring: str) -> str:
    """The first sentence where it is plain prose that begins the docstring and is short, else ''."""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    found = re.match(r"[A-Z][^\n]*?\.(?= [A-Z]|$)", paragraph)
    return found.group() if found and len(found.group()) <= SUMMARY_CHARACTERS and '"' not in found.group() else ""


def help_text(function: Any) -> str:
    """What `help(function)` shows below its heading."""
    lines = pydoc.plaintext.document(function).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip()


def cut(text: str) -> str:
    """The text up to a word that ends near the limit."""
    return text if len(text) <= HELP_CHARACTERS else text[: text.rindex(" ", 0, HELP_CHARACTERS)].rstrip() + " ..."


def build_pages() -> dict[str, str]:
    """Markdown of each topic of the language reference, by its name."""
    return {topic: page(topic, text) for topic, text in sorted(topics.items())}


def page(topic: str, text: str) -> str:
    """A topic with its title as the heading."""
    first, _, rest = text.strip().partition("\n")
    underline, _, body = rest.partition("\n")
    if underline.strip("*=-"):  # no title of its own
        first, body = topic, text
    return f"# {first.strip()}\n\n{body.strip()}\n"


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
