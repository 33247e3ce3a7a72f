"""Say what does not fit into the memory of its machine, and the nearest setting that does. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modelyard.domain.architecture import Architecture
from modelyard.domain.fine_tune import Adapter, FineTune
from modelyard.domain.machine import Machines
from modelyard.domain.memory_fit import GIB, cache_bytes, can_estimate, estimate_serving, estimate_training
from modelyard.domain.model import Serving

SHORTEST_ROWS = 128
SHORTEST_CONTEXT = 256
"""Tokens below which a shorter setting is no advice."""
LEAST_CACHE_GIB = 0.125
SMALLER = "use a smaller base"

S = TypeVar("S", FineTune, Serving)


@dataclass(frozen=True)
class Setting(Generic[S]):
    """A spec with something changed, and how a person asks for it."""

    words: str
    spec: S


def check_training(fine_tune: FineTune, architecture: Architecture, machines: Machines) -> str:
    """What a worker wants, has, and what to change; empty where it fits or nobody knows."""
    name, have = _training_share(fine_tune, machines)
    estimate = estimate_training(architecture, fine_tune)
    if have is None or estimate.total_gib <= have or not can_estimate(fine_tune):
        return ""
    advice = advise_training(fine_tune, architecture, machines)
    remedy = f"set {advice.words}" if advice else _nothing_fits(machines)
    return f"a training worker wants {estimate} and {_place(name)} has {have:.4g} GiB for it; {remedy}"


def check_serving(serving: Serving, adapter: Adapter | None, architecture: Architecture, machines: Machines) -> str:
    """What an engine wants, has, and what to change; empty where it fits or nobody knows. adapter: of its versions."""
    name = machines.name_of(serving.profile)
    estimate = estimate_serving(architecture, serving, adapter)
    if name is None or estimate.total_gib <= machines.kinds[name].memory_gib:
        return ""
    advice = advise_serving(serving, adapter, architecture, machines)
    remedy = f"set {advice.words}" if advice else _nothing_fits(machines)
    return f"an engine wants {estimate} and {_place(name)} has {machines.kinds[name].memory_gib:.4g} GiB; {remedy}"


def advise_training(fine_tune: FineTune, architecture: Architecture, machines: Machines) -> Setting[FineTune] | None:
    """The nearest setting that fits: smaller passes, ZeRO 3, shorter rows, the smallest machine, the smallest passes of shorter rows."""
    for setting in _training_settings(fine_tune, machines):
        _, have = _training_share(setting.spec, machines)
        if have is not None and estimate_training(architecture, setting.spec).total_gib <= have:
            return setting
    return None


def advise_serving(serving: Serving, adapter: Adapter | None, architecture: Architecture, machines: Machines) -> Setting[Serving] | None:
    """The nearest setting that fits: a smaller cache, a shorter context, the smallest machine."""
    for setting in _serving_settings(serving, architecture, machines):
        name = machines.name_of(setting.spec.profile)
        if name is not None and estimate_serving(architecture, setting.spec, adapter).total_gib <= machines.kinds[name].memory_gib:
            return setting
    return None


def _training_share(fine_tune: FineTune, machines: Machines) -> tuple[str, float | None]:
    name = machines.name_of(fine_tune.workers.profile)
    return ("", None) if name is None else (name, machines.kinds[name].share_gib(fine_tune.workers))


def _training_settings(fine_tune: FineTune, machines: Machines) -> Iterator[Setting[FineTune]]:
    """In the order of preference."""
    knobs, workers = fine_tune.hyperparameters, fine_tune.workers
    smaller = [size for size in range(knobs.micro_batch_size - 1, 0, -1) if knobs.batch_size % (size * workers.count) == 0]
    for size in smaller:
        yield _with_knobs(fine_tune, microBatchSize=size)
    if fine_tune.deepspeed.zero_stage < 3 and workers.count > 1:
        deepspeed = fine_tune.deepspeed.model_copy(update={"zero_stage": 3})
        yield Setting("spec.fineTune.deepspeed.zeroStage to 3", fine_tune.model_copy(update={"deepspeed": deepspeed}))
    shorter = _powers_of_two(knobs.max_length, SHORTEST_ROWS)
    for length in shorter:
        yield _with_knobs(fine_tune, maxLength=length)
    for name in _by_memory(machines):
        other = workers.model_copy(update={"profile": name})
        yield Setting(f"spec.fineTune.workers.profile to {name}", fine_tune.model_copy(update={"workers": other}))
    for length in shorter if smaller else ():
        yield _with_knobs(fine_tune, microBatchSize=smaller[-1], maxLength=length)


def _with_knobs(fine_tune: FineTune, **knobs: int) -> Setting[FineTune]:
    """Some hyperparameters by their names on the wire."""
    words = " and ".join(f"spec.fineTune.hyperparameters.{name} to {value}" for name, value in knobs.items())
    fields = {"microBatchSize": "micro_batch_size", "maxLength": "max_length"}
    changed = fine_tune.hyperparameters.model_copy(update={fields[name]: value for name, value in knobs.items()})
    return Setting(words, fine_tune.model_copy(update={"hyperparameters": changed}))


def _serving_settings(serving: Serving, architecture: Architecture, machines: Machines) -> Iterator[Setting[Serving]]:
    """In the order of preference. A cache of vLLM has to hold one request of the longest kind, or the engine does not start."""
    by_vllm, cache_gib = serving.engine != "transformers", serving.kv_cache_gib
    if by_vllm:
        for halved in _halves(cache_gib, cache_bytes(architecture, serving.max_model_length) / GIB):
            yield Setting(f"spec.serving.kvCacheGib to {halved:g}", serving.model_copy(update={"kv_cache_gib": halved}))
    for length in _powers_of_two(serving.max_model_length, SHORTEST_CONTEXT):
        words, changes = f"spec.serving.maxModelLength to {length}", dict[str, Any](max_model_length=length)
        if by_vllm:
            least = min([cache_gib, *_halves(cache_gib, cache_bytes(architecture, length) / GIB)])
            words, changes = f"{words} and spec.serving.kvCacheGib to {least:g}", changes | {"kv_cache_gib": least}
        yield Setting(words, serving.model_copy(update=changes))
    for name in _by_memory(machines):
        yield Setting(f"spec.serving.profile to {name}", serving.model_copy(update={"profile": name}))


def _powers_of_two(above: int, least: int) -> list[int]:
    """Those below a number, the largest first."""
    return [1 << exponent for exponent in range(above.bit_length(), 0, -1) if least <= 1 << exponent < above]


def _halves(cache_gib: float, needed_gib: float) -> list[float]:
    halves = []
    while (cache_gib := cache_gib / 2) >= max(needed_gib, LEAST_CACHE_GIB):
        halves.append(cache_gib)
    return halves


def _by_memory(machines: Machines) -> list[str]:
    return sorted((name for name in machines.kinds if name), key=lambda name: machines.kinds[name].memory_gib)


def _place(name: str) -> str:
    return f"profile {name}" if name else "this machine"


def _nothing_fits(machines: Machines) -> str:
    if "" in machines.kinds:
        return f"{SMALLER} or a machine with more memory"
    largest = max(machine.memory_gib for machine in machines.kinds.values())
    return f"no profile of this cluster holds it, the largest has {largest:.4g} GiB; {SMALLER} or add a profile"
