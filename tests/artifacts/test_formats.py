import pickle  # noqa: TID251 - to show that it is refused
from pathlib import Path

import pytest

from modelyard.artifacts.formats import check_format, check_formats, is_wanted, refuse_pickles
from modelyard.domain.errors import IntegrityError


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        pytest.param("model-00001-of-00002.safetensors", True, id="weights"),
        pytest.param("1_Pooling/config.json", True, id="configuration in a subfolder"),
        pytest.param("tokenizer.model", True, id="a sentencepiece tokenizer"),
        pytest.param("merges.txt", True, id="merges"),
        pytest.param("chat_template.jinja", True, id="the chat template"),
        pytest.param("LICENSE.txt", True, id="the licence"),
        pytest.param("pytorch_model.bin", False, id="a pickle"),
        pytest.param("modeling_custom.py", False, id="code"),
        pytest.param("original/consolidated.safetensors", False, id="the weights once more"),
        pytest.param("onnx/model.onnx", False, id="another runtime"),
        pytest.param(".gitattributes", False, id="version control"),
        pytest.param(".cache/huggingface/x.json", False, id="a cache"),
        pytest.param("manifest.json", False, id="the name of our own manifest"),
    ],
)
def test_what_is_taken_along(path: str, wanted: bool) -> None:
    assert is_wanted(path) is wanted


@pytest.mark.parametrize("name", ["a.bin", "sub/a.pt", "a.pth", "a.ckpt", "a.pkl", "a.pickle", "a.joblib"])
def test_pickles_are_refused_by_name(name: str) -> None:
    with pytest.raises(IntegrityError, match=f"{name} is a pickle, which can run code"):
        refuse_pickles(["a.json", name])


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("a.safetensors", pickle.dumps({"w": 1}), "is a pickle by its content", id="a pickle in disguise"),
        pytest.param("vocab.txt", b"PK\x03\x04....", "is a zip archive as PyTorch's pickles are by its content", id="a zip in disguise"),
        pytest.param("a.safetensors", b"hello, this is text", "is truncated or not safetensors", id="text as safetensors"),
        pytest.param("a.safetensors", b"", "is truncated or not safetensors", id="empty safetensors"),
        pytest.param("a.gguf", b"GGML....", "is not GGUF: it begins with b'GGML'", id="an older format as GGUF"),
        pytest.param("config.json", b'{"a": ', "is not JSON", id="broken JSON"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IntegrityError, match=f"{name} {problem}"):
        check_format(tmp_path / name, name)


def test_safetensors_that_break_off_are_refused_by_name(make_model) -> None:
    folder = make_model()
    check_formats(folder, ["config.json", "model.safetensors"])
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(IntegrityError, match=r"model\.safetensors is truncated"):
        check_formats(folder, ["config.json", "model.safetensors"])
