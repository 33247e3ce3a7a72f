"""The words by which people name resources: kinds, short names, `KIND/NAME`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.wording import listed, suggest

if TYPE_CHECKING:
    from modelyard.domain.resource import Resource

WORDS = {
    "Model": ("model", "models", "mdl"),
    "ModelVersion": ("modelversion", "modelversions", "mv"),
    "Evaluation": ("evaluation", "evaluations", "eval", "ev"),
    "KnowledgeBase": ("knowledgebase", "knowledgebases", "kb"),
}
ALL = "all"
KIND_WORDS = tuple(words[0] for words in WORDS.values())

Key = tuple[str, str, str]


def parse_kind(word: str) -> str:
    """The kind that a word names, in any case. Raises InvalidInputError with the words there are."""
    for kind, words in WORDS.items():
        if word.lower() in words:
            return kind
    every = [word for words in WORDS.values() for word in words]
    known = listed(f"{words[0]} ({words[2]})" for words in WORDS.values())
    raise InvalidInputError(f"{word!r} is not a kind of resource", f"{suggest(word, every)}there are {known}")


def parse_kinds(word: str) -> tuple[str, ...]:
    """The kinds of `KIND,KIND` in this order, each once, or of `all`. Raises InvalidInputError."""
    parts = word.lower().split(",")
    kinds = [kind for part in parts for kind in (sorted(WORDS) if part == ALL else [parse_kind(part)])]
    return tuple(dict.fromkeys(kinds))


def parse_keys(words: Sequence[str], namespace: str) -> list[Key]:
    """The resources named by `KIND NAME…` or `KIND/NAME…`; `KIND,KIND NAME` is one of each kind. Raises InvalidInputError."""
    if any("/" in word for word in words):
        return [_parse_key(word, namespace) for word in words]
    word, *names = words
    kinds = list(dict.fromkeys(parse_kind(part) for part in word.split(",")))
    if not names:
        raise InvalidInputError(f"{word} has no name", f"name one: {words_of(kinds[0])[0]}/NAME (`modelyard get {word}` lists them)")
    return [(kind, namespace, name) for kind in kinds for name in names]


def parse_key(words: Sequence[str], namespace: str) -> Key:
    """The one resource named by `KIND NAME` or `KIND/NAME`. Raises InvalidInputError."""
    keys = parse_keys(words, namespace)
    if len(keys) > 1:
        raise InvalidInputError(f"{len(keys)} resources are named", "name one")
    return keys[0]


def words_of(kind: str) -> tuple[str, ...]:
    """Singular, plural and short name of a kind."""
    return WORDS[kind]


def label(key: Key) -> str:
    """`model/support-bot`."""
    return f"{key[0].lower()}/{key[2]}"


def label_of(resource: "Resource") -> str:
    """`model/support-bot`."""
    return label(resource.key)


def _parse_key(word: str, namespace: str) -> Key:
    kind, _, name = word.partition("/")
    if not name or "/" in name:
        raise InvalidInputError(f"{word!r} does not name a resource", "write KIND/NAME, or KIND NAME, not both")
    return parse_kind(kind), namespace, name
