from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.architecture import Architecture
from modelyard.domain.fine_tune import Adapter, FineTune
from modelyard.domain.machine import Machine, Machines
from modelyard.domain.memory_advice import advise_serving, advise_training, check_serving, check_training
from modelyard.domain.memory_fit import cache_bytes, estimate_serving, estimate_training
from modelyard.domain.model import Serving

LLAMA_7B = Architecture(
    parameters=6_738_415_616,
    layers=32,
    hidden_size=4096,
    heads=32,
    kv_heads=32,
    head_dim=128,
    feed_forward_size=11008,
    gated=True,
    vocabulary=32000,
)
GPU = {"CPU": 8.0, "GPU": 1.0}


def machines(**memory_gib: float) -> Machines:
    """GPU machines; the first is the default."""
    return Machines({name: Machine(size, GPU) for name, size in memory_gib.items()}, next(iter(memory_gib)))


def tune(workers: int = 1, stage: int = 2, **knobs: Any) -> FineTune:
    spec = {
        "dataset": {"uri": "train.jsonl"},
        "hyperparameters": {"batchSize": 16, "microBatchSize": 4, "maxLength": 1024} | knobs,
        "workers": {"count": workers, "resources": {"GPU": 1}},
        "deepspeed": {"zeroStage": stage},
    }
    return FineTune.model_validate(spec)


WANTS = "a training worker wants 35.0 GiB (activations 20.8, weights 12.6, adapter and its optimizer 0.7, runtime 0.5, logits 0.5)"
"""For four rows of 1,024 tokens: see test_memory_fit."""
ROWS = "spec.fineTune.hyperparameters.microBatchSize"
LENGTH = "spec.fineTune.hyperparameters.maxLength"
PROFILE = "spec.fineTune.workers.profile"


@pytest.mark.parametrize(
    ("fine_tune", "kinds", "expected"),
    [
        pytest.param(tune(), machines(small=36), "", id="it fits"),
        pytest.param(tune(), Machines(), "", id="nobody knows the machines"),
        pytest.param(tune().model_copy(update={"adapter": Adapter(target_pattern="q")}), machines(s=1), "", id="what is not counted"),
        pytest.param(
            tune(), machines(small=30, large=80), f"{WANTS} and profile small has 30 GiB for it; set {ROWS} to 2", id="smaller passes first"
        ),
        pytest.param(tune(), machines(small=24), f"{WANTS} and profile small has 24 GiB for it; set {ROWS} to 1", id="far smaller passes"),
        pytest.param(
            tune(batchSize=4, maxLength=4096, microBatchSize=1),
            machines(small=24, large=80),
            "a training worker wants 35.0 GiB (activations 20.8, weights 12.6, adapter and its optimizer 0.7, runtime 0.5, logits 0.5) and "
            f"profile small has 24 GiB for it; set {LENGTH} to 1024",
            id="passes of one row: shorter rows",
        ),
        pytest.param(
            tune(workers=4, batchSize=4, maxLength=1024, microBatchSize=1),
            machines(small=18.2),
            "a training worker wants 18.6 GiB (weights 12.6, activations 5.2, runtime 0.5, adapter and its optimizer 0.2, logits 0.1) and "
            "profile small has 18.2 GiB for it; set spec.fineTune.deepspeed.zeroStage to 3",
            id="several workers: ZeRO 3 before shorter rows",
        ),
        pytest.param(
            tune(maxLength=65536, microBatchSize=4),
            machines(tiny=4, small=13.9, large=1400, huge=3000),
            f"set {PROFILE} to large",
            id="the smallest profile that holds it",
        ),
        pytest.param(
            tune(maxLength=8192, microBatchSize=4),
            machines(small=15.1),
            f"set {ROWS} to 1 and {LENGTH} to 256",
            id="rows both fewer and shorter, where nothing else helps",
        ),
        pytest.param(
            tune(),
            machines(small=12, large=12.5),
            "no profile of this cluster holds it, the largest has 12.5 GiB; use a smaller base or add a profile",
            id="the weights alone are too much",
        ),
        pytest.param(
            FineTune.model_validate({"dataset": {"uri": "x"}}),
            Machines({"": Machine(8, {"CPU": 2})}),
            "this machine has 8 GiB for it; use a smaller base or a machine with more memory",
            id="a laptop has no profiles",
        ),
    ],
)  # fmt: skip
def test_training_that_does_not_fit_is_told_with_the_nearest_setting_that_does(fine_tune: FineTune, kinds: Machines, expected: str) -> None:
    problem = check_training(fine_tune, LLAMA_7B, kinds)
    assert problem.endswith(expected) and bool(problem) == bool(expected)


ENGINE = "an engine wants 17.1 GiB (weights 12.6, key-value cache 4.0, runtime 0.5)"
CACHE, CONTEXT = "spec.serving.kvCacheGib", "spec.serving.maxModelLength"


@pytest.mark.parametrize(
    ("serving", "kinds", "expected"),
    [
        pytest.param({"kvCacheGib": 4}, machines(small=18), "", id="it fits"),
        pytest.param({"kvCacheGib": 4}, Machines(), "", id="nobody knows the machines"),
        pytest.param({"kvCacheGib": 4, "profile": "none"}, machines(small=1), "", id="a profile that there is not is told elsewhere"),
        pytest.param(
            {"kvCacheGib": 4}, machines(small=16), f"{ENGINE} and profile small has 16 GiB; set {CACHE} to 2", id="a smaller cache"
        ),
        pytest.param(
            # 8,192 tokens take the 4 GiB of the cache.
            {"kvCacheGib": 4, "maxModelLength": 8192},
            machines(small=14.2),
            f"{ENGINE} and profile small has 14.2 GiB; set {CONTEXT} to 2048 and {CACHE} to 1",
            id="a cache that one request fills: a shorter context with it",
        ),
        pytest.param(
            {"engine": "transformers", "maxModelLength": 8192},
            machines(small=14.2),
            f"{ENGINE} and profile small has 14.2 GiB; set {CONTEXT} to 2048",
            id="transformers reserves nothing: a shorter context alone",
        ),
        pytest.param({"kvCacheGib": 4}, machines(s=8, middle=20, large=80), "set spec.serving.profile to middle", id="the smallest one"),
        pytest.param({"kvCacheGib": 4}, machines(small=8), "use a smaller base or add a profile", id="nothing holds it"),
    ],
)  # fmt: skip
def test_an_engine_that_does_not_fit_is_told_with_the_nearest_setting_that_does(
    serving: dict[str, Any], kinds: Machines, expected: str
) -> None:
    problem = check_serving(Serving.model_validate(serving), None, LLAMA_7B, kinds)
    assert problem.endswith(expected) and bool(problem) == bool(expected)


def powers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high).map(lambda exponent: 1 << exponent)


@st.composite
def shapes(draw: st.DrawFn) -> Architecture:
    return Architecture(
        parameters=draw(st.integers(10**6, 10**11)),
        layers=draw(st.integers(1, 80)),
        hidden_size=draw(powers(6, 13)),
        heads=32,
        kv_heads=8,
        head_dim=64,
        feed_forward_size=draw(powers(7, 15)),
        gated=draw(st.booleans()),
        vocabulary=draw(st.integers(1000, 200_000)),
    )


KINDS = st.lists(st.floats(0.6, 700), min_size=1, max_size=4).map(lambda sizes: machines(**{f"m{i}": size for i, size in enumerate(sizes)}))
TUNES = st.builds(
    lambda workers, stage, rows, length: tune(workers, stage, batchSize=64, microBatchSize=rows, maxLength=length),
    st.sampled_from([1, 2, 4]),
    st.integers(0, 3),
    powers(0, 4),
    st.integers(8, 70_000),
)


def fits(fine_tune: FineTune, shape: Architecture, kinds: Machines) -> bool:
    share = kinds.kinds[kinds.name_of(fine_tune.workers.profile) or ""].share_gib(fine_tune.workers)
    return share is not None and estimate_training(shape, fine_tune).total_gib <= share


@given(shapes(), TUNES, KINDS)
def test_what_is_advised_for_training_fits_and_the_next_larger_does_not(shape: Architecture, asked: FineTune, kinds: Machines) -> None:
    advice = advise_training(asked, shape, kinds)
    if fits(asked, shape, kinds):
        assert check_training(asked, shape, kinds) == ""
        return
    if advice is None:
        largest = max(kinds.kinds, key=lambda name: kinds.kinds[name].memory_gib)
        assert not fits(with_workers(asked, profile=largest), shape, kinds)
        return
    assert fits(advice.spec, shape, kinds) and advice.words in check_training(asked, shape, kinds)
    FineTune.model_validate(advice.spec.wire())  # a document that is accepted: the batch is a multiple still
    for larger in next_larger(asked, advice.spec, kinds):
        assert not fits(larger, shape, kinds)


def next_larger(asked: FineTune, advised: FineTune, kinds: Machines) -> list[FineTune]:
    """What would be nearer to what was asked for, in the one setting that was changed last."""
    before, after = asked.hyperparameters, advised.hyperparameters
    if after.max_length != before.max_length:
        longer = min(before.max_length, after.max_length * 2)
        return [advised.model_copy(update={"hyperparameters": after.model_copy(update={"max_length": longer})})]
    if after.micro_batch_size != before.micro_batch_size:
        per_worker = before.batch_size // asked.workers.count
        more = min(size for size in range(after.micro_batch_size + 1, before.micro_batch_size + 1) if per_worker % size == 0)
        return [advised.model_copy(update={"hyperparameters": after.model_copy(update={"micro_batch_size": more})})]
    if advised.deepspeed != asked.deepspeed:
        return [asked]
    chosen = kinds.kinds[advised.workers.profile or ""].memory_gib
    return [with_workers(asked, profile=name) for name, machine in kinds.kinds.items() if machine.memory_gib < chosen]


def with_workers(fine_tune: FineTune, **changes: Any) -> FineTune:
    return fine_tune.model_copy(update={"workers": fine_tune.workers.model_copy(update=changes)})


SERVINGS = st.builds(
    lambda engine, length, cache_gib: Serving(engine=engine, max_model_length=length, kv_cache_gib=cache_gib),
    st.sampled_from(["auto", "vllm", "transformers"]),
    st.integers(64, 200_000),
    st.floats(0.1, 100),
)
ADAPTERS = st.none() | st.integers(1, 512).map(lambda rank: Adapter(rank=rank))


@given(shapes(), SERVINGS, KINDS, ADAPTERS)
def test_what_is_advised_for_an_engine_fits_and_the_next_larger_does_not(
    shape: Architecture, asked: Serving, kinds: Machines, adapter: Adapter | None
) -> None:
    def holds(serving: Serving) -> bool:
        return estimate_serving(shape, serving, adapter).total_gib <= kinds.kinds[kinds.name_of(serving.profile) or ""].memory_gib

    advice = advise_serving(asked, adapter, shape, kinds)
    if holds(asked):
        assert check_serving(asked, adapter, shape, kinds) == ""
    elif advice is None:
        assert not any(holds(asked.model_copy(update={"profile": name})) for name in kinds.kinds)
    else:
        advised = advice.spec
        assert holds(advised) and advice.words in check_serving(asked, adapter, shape, kinds)
        by_vllm, shorter = asked.engine != "transformers", advised.max_model_length != asked.max_model_length
        if advised.kv_cache_gib != asked.kv_cache_gib:
            assert advised.kv_cache_gib * 2**30 >= cache_bytes(shape, advised.max_model_length)
            assert shorter or not holds(advised.model_copy(update={"kv_cache_gib": advised.kv_cache_gib * 2}))
        if shorter and not by_vllm:
            longer = min(asked.max_model_length, advised.max_model_length * 2)
            assert not holds(advised.model_copy(update={"max_model_length": longer}))
        if advised.profile is not None:
            chosen = kinds.kinds[advised.profile].memory_gib
            smaller = [name for name, machine in kinds.kinds.items() if machine.memory_gib < chosen]
            assert not any(holds(asked.model_copy(update={"profile": name})) for name in smaller)
