"""Split YAML or JSON text into documents that know the line of every field. Knows no kind of resource."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from modelyard.domain.problems import Path, Problem
from modelyard.domain.wording import dotted

REMEDIES = {
    "found character '\\t' that cannot start any token": "indent with spaces, not tabs",
    "mapping values are not allowed here": "put text that holds `: ` in quotes, and check the indentation",
    "could not determine a constructor": "remove the tag, plain YAML needs none",
}


@dataclass(frozen=True)
class SyntaxProblem:
    """Text that cannot be read."""

    place: str
    """`:LINE:COLUMN`, or empty."""
    problem: str
    remedy: str


@dataclass(frozen=True)
class Document:
    """One document of a text."""

    label: str
    """`2`, or `2, item 3` inside a List."""
    value: Any
    node: yaml.Node | None = None
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """The line (from 1) of the field at a path, or of the nearest field above it."""
        if self.node is None:
            return None
        node, line = self.node, self.node.start_mark.line
        for part in path:
            below = _below(node, part)
            if below is None:
                break
            line, node = below
        return int(line) + 1


def read_yaml(text: str) -> Iterator[Document | SyntaxProblem]:
    """The documents of a YAML text without the empty ones; a syntax error ends them."""
    try:
        # Reading the text is part of the constructor: it refuses control characters.
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        yield SyntaxProblem("", f"character #x{error.character:04x} at position {error.position} is not text", "save it as UTF-8")
        return
    number = 0
    try:
        while (node := _next(loader)) is not None:
            number += 1
            yield from _construct(loader, node, number)
    except yaml.MarkedYAMLError as error:
        yield _explain(error)
    finally:
        loader.dispose()


def read_json(text: str) -> Iterator[Document | SyntaxProblem]:
    """The one document of a JSON text, or the items of its List."""
    problems: list[Problem] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        for name in document:
            count = sum(1 for key, _ in pairs if key == name)
            if count > 1:
                problems.append(Problem((), f"{name} is given {count} times in one object", "keep one of them"))
        return document

    try:
        value = json.loads(text, object_pairs_hook=build)
    except json.JSONDecodeError as error:
        yield SyntaxProblem(f":{error.lineno}:{error.colno}", f"not valid JSON: {error.msg}", "correct the syntax there")
        return
    yield from _split(Document("1", value, None, problems))


def _next(loader: yaml.SafeLoader) -> yaml.Node | None:
    return loader.get_node() if loader.check_node() else None


def _construct(loader: yaml.SafeLoader, node: yaml.Node, number: int) -> Iterator[Document | SyntaxProblem]:
    repeated = list(_repeated_keys(node, set()))
    try:
        value = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        yield _explain(error)
        return
    if value is not None:
        yield from _split(Document(str(number), value, node, repeated))


def _split(document: Document) -> Iterator[Document]:
    """The items of a List, which is what `get -o yaml` prints for several resources."""
    value = document.value
    if not isinstance(value, dict) or value.get("kind") != "List" or not isinstance(value.get("items"), list):
        yield document
        return
    found = _below(document.node, "items") if document.node else None
    for index, item in enumerate(value["items"]):
        below = _below(found[1], index) if found else None
        inside = [
            Problem(problem.path[2:], problem.problem, problem.remedy)
            for problem in document.problems
            if problem.path[:2] == ("items", index) or (not problem.path and index == 0)
        ]
        yield Document(f"{document.label}, item {index + 1}", item, below[1] if below else None, inside)


def _below(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line and node of a field or an entry."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    return None


def _repeated_keys(node: yaml.Node, seen: set[int], path: Path = ()) -> Iterator[Problem]:
    """YAML readers silently keep the last of two equal keys; people wonder where the first went.

    seen: nodes that were visited, since an alias may lead to a node again, even into itself.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated_keys(value, seen, (*path, index))
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            continue
        here = (*path, key.value)
        line = key.start_mark.line + 1
        if key.value in lines:
            yield Problem(here, f"{dotted(here)} is given twice, on lines {lines[key.value]} and {line}", "keep one of them")
        lines.setdefault(key.value, line)
        yield from _repeated_keys(value, seen, here)


def _explain(error: yaml.MarkedYAMLError) -> SyntaxProblem:
    mark = error.problem_mark or error.context_mark
    place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    problem = error.problem or error.context or "syntax error"
    remedy = next((answer for words, answer in REMEDIES.items() if problem.startswith(words)), "correct the syntax there")
    return SyntaxProblem(place, f"not valid YAML: {problem}", remedy)
