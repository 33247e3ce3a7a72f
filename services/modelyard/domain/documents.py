"""Read manifests: YAML or JSON text becomes resources, or one error that names every problem. Pure: reads no file."""

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from modelyard.domain.errors import InvalidInputError
from modelyard.domain.evaluation import Evaluation, Suite
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.model import Model, ModelVersion
from modelyard.domain.problems import SERVER_SET, Path, Problem, find_problems
from modelyard.domain.resource import API_VERSION, Resource
from modelyard.domain.wording import listed, quoted, suggest
from modelyard.domain.yaml_text import Document, SyntaxProblem, read_json, read_yaml

KINDS: Mapping[str, type[Resource]] = {kind.__name__: kind for kind in (Model, ModelVersion, Evaluation, KnowledgeBase)}
APPLIED = ("Model", "Evaluation", "KnowledgeBase")
"""The kinds that people write. A ModelVersion is made by the operator."""


@dataclass(frozen=True)
class Manifest:
    """A resource and where it is written."""

    resource: Resource
    source: str
    place: str
    """`FILE:LINE`, or the file where lines are not known."""


def parse_documents(text: str, source: str) -> list[Resource]:
    """The resources of a YAML or JSON text, in order. Server-set metadata and `status` are ignored.

    source: the name of the text in messages. Raises one InvalidInputError with a line for every problem
    of every document: place, document, path, value, remedy.
    """
    return [manifest.resource for manifest in parse_texts({source: text})]


def parse_texts(texts: Mapping[str, str]) -> list[Manifest]:
    """The resources of several texts by source. Raises as `parse_documents` does, for all texts together."""
    manifests: list[Manifest] = []
    problems: list[tuple[str, str]] = []
    for source, text in texts.items():
        for found in _parse(text, source):
            if isinstance(found, Manifest):
                manifests.append(found)
            else:
                problems.append(found)
    problems += _find_duplicates(manifests)
    if problems:
        raise _refuse(problems)
    return manifests


def resolve_paths(resource: Resource, folder: PurePath) -> Resource:
    """The resource with every relative dataset, suite, few-shot and document URI as an absolute `file://` URI.

    folder: the absolute folder of the manifest. Paths are not percent-encoded: fsspec does not decode them.
    """

    def absolute(uri: str) -> str:
        return uri if "://" in uri else "file://" + posixpath.normpath(posixpath.join(folder.as_posix(), uri))

    def suites(given: list[Suite]) -> list[dict[str, Any]]:
        documents = [suite.wire() for suite in given]
        for document in documents:
            document["uri"] = absolute(document["uri"])
            if "fewShot" in document:
                document["fewShot"]["uri"] = absolute(document["fewShot"]["uri"])
        return documents

    document = resource.wire()
    spec = document.get("spec", {})
    match resource:
        case Model(spec=model):
            if model.fine_tune:
                spec["fineTune"]["dataset"]["uri"] = absolute(model.fine_tune.dataset.uri)
            if model.evaluation:
                spec["evaluation"]["suites"] = suites(model.evaluation.suites)
            if model.serving and model.serving.rollout and model.serving.rollout.evaluation:
                spec["serving"]["rollout"]["evaluation"]["suites"] = suites(model.serving.rollout.evaluation.suites)
        case Evaluation(spec=evaluation):
            spec["suites"] = suites(evaluation.suites)
        case KnowledgeBase(spec=knowledge_base):
            spec["sources"] = [{**source.wire(), "uri": absolute(source.uri)} for source in knowledge_base.sources]
    return type(resource).model_validate(document)


def _parse(text: str, source: str) -> Iterator[Manifest | tuple[str, str]]:
    """Each resource, or a problem as (line for people without the remedy, remedy)."""
    read = read_json if source.endswith(".json") or _is_json(text) else read_yaml
    for document in read(text):
        if isinstance(document, SyntaxProblem):
            yield f"{source}{document.place}: {document.problem}", document.remedy
            continue
        label = f"document {document.label} ({_name(document.value)})"
        problems = [*document.problems, *_check(document.value)]
        for problem in problems:
            yield f"{_place(source, document, problem.path)}: {label}: {problem.problem}", problem.remedy
        if not problems:
            kind = KINDS[document.value["kind"]]
            yield Manifest(kind.model_validate(_without_server_set(document.value)), source, _place(source, document, ()))


def _check(document: Any) -> list[Problem]:
    if not isinstance(document, Mapping):
        return [Problem((), f"it is {quoted(document)}", f"write a mapping that begins with apiVersion: {API_VERSION}")]
    problems = []
    version, name = document.get("apiVersion"), document.get("kind")
    if version != API_VERSION:
        problems.append(Problem(("apiVersion",), _is_or_missing("apiVersion", version), f"write apiVersion: {API_VERSION}"))
    if name == ModelVersion.__name__:
        remedy = "apply the Model that it belongs to, and the platform makes its versions"
        return [*problems, Problem(("kind",), "kind is ModelVersion, which is made by the platform alone", remedy)]
    if name not in APPLIED:
        remedy = f"{suggest(str(name or ''), APPLIED)}write one of {listed(APPLIED)}"
        return [*problems, Problem(("kind",), _is_or_missing("kind", name), remedy)]
    return problems + find_problems(KINDS[name], {**_without_server_set(document), "apiVersion": API_VERSION})


def _without_server_set(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a person declared: `modelyard get -o yaml` can be edited and applied again."""
    declared = {key: value for key, value in document.items() if key not in SERVER_SET}
    if isinstance(declared.get("metadata"), Mapping):
        declared["metadata"] = {key: value for key, value in declared["metadata"].items() if key not in SERVER_SET}
    return declared


def _find_duplicates(manifests: list[Manifest]) -> list[tuple[str, str]]:
    first: dict[tuple[str, str, str], str] = {}
    problems = []
    for manifest in manifests:
        key = manifest.resource.key
        if key in first:
            problems.append((f"{manifest.place}: {key[0]}/{key[2]} is declared again", f"it is already in {first[key]}; keep one of them"))
        first.setdefault(key, manifest.place)
    return problems


def _refuse(problems: list[tuple[str, str]]) -> InvalidInputError:
    *former, (problem, remedy) = problems
    lines = [f"{line}; {answer}" for line, answer in former]
    return InvalidInputError("\n".join([*lines, problem]), remedy)


def _name(document: Any) -> str:
    if not isinstance(document, Mapping):
        return "no kind"
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return "/".join(str(part) for part in (document.get("kind") or "no kind", name) if part is not None)


def _place(source: str, document: Document, path: Path) -> str:
    line = document.line(path)
    return f"{source}:{line}" if line else source


def _is_or_missing(field: str, value: Any) -> str:
    return f"{field} is missing" if value is None else f"{field} is {quoted(value)}"


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
