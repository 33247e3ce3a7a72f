"""Judge a resource before it is stored: what no schema can say, what does not fit, what no quota allows. Pure: no I/O."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.domain.architecture import Architecture, parameters_by_name
from modelyard.domain.documents import KINDS
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Adapter
from modelyard.domain.memory_fit import BYTES, GIB, SERVED_BYTES
from modelyard.domain.model import Model, ModelSpec
from modelyard.domain.problems import find_problems
from modelyard.domain.room import find_memory_lack
from modelyard.operator.cluster_settings import ClusterSettings
from modelyard.operator.job_quota import find_quota_problem
from modelyard.operator.quota import Quota

KEPT_METADATA = ("name", "namespace", "labels", "annotations")
JUDGED = ("Model", "Evaluation", "KnowledgeBase")
"""The kinds that people write."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """What there is to know around a Model."""

    architecture: Architecture | None = None
    """From a fetch of the same source; None: there was none, or it told no shape."""
    quotas: list[Quota] = field(default_factory=list)
    """Of the namespace."""
    warnings: list[str] = field(default_factory=list)
    """What could not be learned."""


@dataclass(frozen=True)
class Ruling:
    """What is said to whoever writes a resource."""

    problems: list[str] = field(default_factory=list)
    """Why it is refused, with a remedy each; empty: it is let in."""
    warnings: list[str] = field(default_factory=list)


def judge(request: Document, settings: ClusterSettings, look: Callable[[Model], Known]) -> Ruling:
    """Rule on the `request` of an AdmissionReview. look: asked only where it matters.

    What does not change is let in, whatever it is: an operator that learns more must not freeze what is stored.
    """
    document, former = request.get("object") or {}, request.get("oldObject") or {}
    kind, metadata = (request.get("kind") or {}).get("kind"), document.get("metadata") or {}
    if request.get("operation") not in ("CREATE", "UPDATE") or kind not in JUDGED or metadata.get("deletionTimestamp"):
        return Ruling()
    if settings.namespaces and request.get("namespace") not in settings.namespaces:
        return Ruling()
    if former and former.get("spec") == document.get("spec"):
        return Ruling()
    body = _body(kind, request, document)
    problems = [str(problem) for problem in find_problems(KINDS[kind], body)]
    if problems or kind != "Model":
        return Ruling(problems)
    return _judge_model(Model.model_validate(body), _former_spec(request, former), settings, look)


def _judge_model(model: Model, former: ModelSpec | None, settings: ClusterSettings, look: Callable[[Model], Known]) -> Ruling:
    changed = _Changes(model.spec, former)
    problems = list(_profile_problems(model.spec, settings))
    if problems or not (changed.training or changed.serving or changed.jobs):
        return Ruling(problems)
    known = look(model)
    warnings = list(known.warnings)
    if known.architecture is not None:
        lack = find_memory_lack(model.spec, known.architecture, settings.machines(), training=changed.training, serving=changed.serving)
        problems += [lack.message] if lack else []
    else:
        warnings += _name_warnings(model.spec, settings)
    if changed.jobs:
        refusal, warning = find_quota_problem(model, settings, known.quotas)
        problems += [refusal] if refusal else []
        warnings += [warning] if warning else []
    return Ruling(problems, warnings)


class _Changes:
    """Which stages an update changes; a new resource changes all."""

    def __init__(self, spec: ModelSpec, former: ModelSpec | None) -> None:
        if former is None:
            self.jobs = self.training = self.serving = True
            return
        source, tune = former.source != spec.source, former.fine_tune != spec.fine_tune
        self.jobs = tune or (former.evaluation is None) != (spec.evaluation is None)
        self.training = source or tune
        self.serving = source or former.serving != spec.serving or _adapter(former) != _adapter(spec)


def _adapter(spec: ModelSpec) -> Adapter | None:
    return spec.fine_tune.adapter if spec.fine_tune else None


def _body(kind: str, request: Document, document: Document) -> dict[str, Any]:
    """The resource as a person declares it. One that is yet to be named has the start of its name."""
    metadata = {name: value for name, value in (document.get("metadata") or {}).items() if name in KEPT_METADATA}
    metadata.setdefault("name", f"{(document.get('metadata') or {}).get('generateName', '')}x")
    metadata["namespace"] = request.get("namespace") or "default"
    return {"apiVersion": document.get("apiVersion"), "kind": kind, "metadata": metadata, "spec": document.get("spec") or {}}


def _former_spec(request: Document, former: Document) -> ModelSpec | None:
    """None for one that this version does not understand: then everything is new."""
    body = _body("Model", request, former) if former else {}
    return Model.model_validate(body).spec if former and not find_problems(Model, body) else None


def _profile_problems(spec: ModelSpec, settings: ClusterSettings) -> Iterator[str]:
    wanted = {
        "spec.fineTune.workers.profile": spec.fine_tune.workers.profile if spec.fine_tune else None,
        "spec.serving.profile": spec.serving.profile if spec.serving else None,
    }
    for field_name, profile in wanted.items():
        try:
            settings.profile_name(profile)
        except InvalidInputError as error:
            yield f"{field_name}: {error}"


def _name_warnings(spec: ModelSpec, settings: ClusterSettings) -> Iterator[str]:
    """What the size in the name of a source says about the weights; a name is no reason to refuse."""
    parameters = parameters_by_name(spec.source.uri)
    if parameters is None:
        return
    machines = settings.machines()
    wanted: list[tuple[str, int, str | None, float | None]] = []
    if spec.fine_tune is not None:
        profile = machines.name_of(spec.fine_tune.workers.profile)
        share = machines.kinds[profile].share_gib(spec.fine_tune.workers) if profile else None
        wanted.append(("a training worker", BYTES[spec.fine_tune.hyperparameters.dtype], profile, share))
    if spec.serving is not None:
        profile = machines.name_of(spec.serving.profile)
        wanted.append(("an engine", SERVED_BYTES, profile, machines.kinds[profile].memory_gib if profile else None))
    for who, width, profile, have in wanted:
        want = parameters * width / GIB
        if have is not None and want > have:
            yield (
                f"by its name the source wants {want:.1f} GiB for the weights of {who} alone, and profile {profile} has {have:.4g} GiB; "
                "what it takes is known once it is fetched"
            )
