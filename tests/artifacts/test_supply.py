import pytest

from modelyard.artifacts.supply import SourceFile, Supply, select_files
from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError


def files(*paths: str) -> list[SourceFile]:
    return [SourceFile(path=path, size_bytes=1) for path in paths]


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        pytest.param(["config.json", "model.safetensors", "pytorch_model.bin"], ["config.json", "model.safetensors"], id="pickles stay"),
        pytest.param(["m.safetensors", "m.Q4.gguf", "m.Q8.gguf"], ["m.safetensors"], id="safetensors before GGUF"),
        pytest.param(["m.Q4.gguf", "README.md"], ["m.Q4.gguf", "README.md"], id="GGUF if there is nothing else"),
    ],
)
def test_what_is_taken(offered: list[str], taken: list[str]) -> None:
    assert [file.path for file in select_files("file:///m", files(*offered))] == taken


@pytest.mark.parametrize(
    ("offered", "kind", "problem"),
    [
        pytest.param(
            ["config.json", "pytorch_model.bin"],
            InvalidInputError,
            r"file:///m has its weights only as pickles \(pytorch_model\.bin\), which can run code .*; use a revision",
            id="only pickles",
        ),
        pytest.param(
            ["a.gguf", "b.gguf"], InvalidInputError, r"has 2 GGUF files: a\.gguf, b\.gguf; name one of them", id="several GGUF files"
        ),
        pytest.param(["config.json"], NotFoundError, r"has no weights .*; it has config\.json; correct", id="no weights"),
        pytest.param([], NotFoundError, "it has nothing", id="empty"),
    ],
)
def test_what_is_refused(offered: list[str], kind: type[ModelyardError], problem: str) -> None:
    with pytest.raises(kind, match=problem):
        select_files("file:///m", files(*offered))


def test_the_identity_changes_with_what_changes_bytes() -> None:
    def identity(version: str = "1", size: int = 1, revision: str = "r") -> list[object]:
        file = SourceFile(path="a", size_bytes=size, version=version)
        return Supply(uri="u", files=[file], copy=lambda file, target, advance: None, revision=revision).identity

    assert identity() == identity()
    assert len({str(one) for one in (identity(), identity(version="2"), identity(size=2), identity(revision="s"))}) == 4
