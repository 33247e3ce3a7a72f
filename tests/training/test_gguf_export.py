"""What llama.cpp's converter is told, and what is made of its answer. The tool itself is not installed here and was not run."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelyard.domain.errors import IntegrityError, NotFoundError
from modelyard.training.gguf_export import build_command, export_gguf, find_tool

WEIGHTS = Path("/store/abc")


def test_the_converter_is_told_folder_file_and_type() -> None:
    command = build_command("/opt/llama.cpp/convert_hf_to_gguf.py", WEIGHTS, Path("out.gguf"), "q8_0")
    tail = ["/opt/llama.cpp/convert_hf_to_gguf.py", "/store/abc", "--outfile", "out.gguf", "--outtype", "q8_0"]
    assert command == [sys.executable, *tail]
    assert build_command("/usr/bin/convert_hf_to_gguf", WEIGHTS, Path("o"), "f16")[0] == "/usr/bin/convert_hf_to_gguf"


def test_the_first_tool_that_is_installed_is_taken() -> None:
    assert find_tool(lambda name: f"/bin/{name}" if name.startswith("convert-hf") else None) == "/bin/convert-hf-to-gguf.py"
    with pytest.raises(NotFoundError, match="is on the PATH; put a checkout of llama.cpp on the PATH"):
        find_tool(lambda name: None)


def test_a_file_that_begins_as_gguf_is_accepted(tmp_path: Path) -> None:
    def convert(command: Sequence[str]) -> tuple[int, str]:
        Path(command[command.index("--outfile") + 1]).write_bytes(b"GGUF" + bytes(8))
        return 0, "done"

    export_gguf(WEIGHTS, tmp_path / "out.gguf", "f16", tool="convert.py", run=convert)
    assert (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("status", "output", "written", "message"),
    [
        pytest.param(
            1, "loading\nModel FooForCausalLM is not supported\n", b"GG", "status 1: Model FooForCausalLM is not supp", id="it fails"
        ),
        pytest.param(2, "", None, "status 2: it said nothing", id="it fails silently"),
        pytest.param(0, "done", None, "left no GGUF file", id="it writes nothing"),
        pytest.param(0, "done", b"<html>", "left no GGUF file", id="it writes something else"),
    ],
)
def test_what_goes_wrong_is_told(tmp_path: Path, status: int, output: str, written: bytes | None, message: str) -> None:
    target = tmp_path / "out.gguf"

    def convert(command: Sequence[str]) -> tuple[int, str]:
        if written is not None:
            target.write_bytes(written)
        return status, output

    with pytest.raises(IntegrityError, match=message):
        export_gguf(WEIGHTS, target, "f16", tool="convert.py", run=convert)
    assert status == 0 or not target.exists(), "half a file is not left behind"
