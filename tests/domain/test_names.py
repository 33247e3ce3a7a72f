import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.domain import names
from modelyard.domain.fine_tune import Dataset, FineTune
from modelyard.domain.job import FetchJob, TrainJob
from modelyard.domain.model import Serving
from modelyard.domain.resource import NAME_PATTERN

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True).filter(lambda name: len(name) <= 63)
TUNE = FineTune(dataset=Dataset(uri="file:///rows.jsonl"))
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
BASE, ROWS = "a" * 64, "b" * 64


def fetch_job(store: str = "file:///store", uri: str = "hf://o/m", revision: str = "main", role: str = "causal-lm") -> FetchJob:
    return FetchJob.model_validate({"store": store, "source": {"uri": uri, "revision": revision}, "role": role})


@UNTIMED
@given(NAMES)
def test_versions_are_valid_names_whatever_the_model_is_called(model: str) -> None:
    name = names.version_name(model, BASE, TUNE, ROWS)
    assert re.fullmatch(NAME_PATTERN, name)
    assert len(name) <= 63
    assert name == names.version_name(model, BASE, TUNE, ROWS)


@UNTIMED
@given(NAMES, NAMES)
def test_models_that_share_a_long_beginning_do_not_share_versions(one: str, other: str) -> None:
    same = names.version_name(one, BASE, None, "") == names.version_name(other, BASE, None, "")
    assert same == (one == other)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("m", "c" * 64, TUNE, ROWS), id="another base"),
        pytest.param(("m", BASE, None, ROWS), id="untuned"),
        pytest.param(("m", BASE, TUNE.model_copy(update={"max_failures": 1}), ROWS), id="another recipe"),
        pytest.param(("m", BASE, TUNE, "d" * 64), id="other rows"),
        pytest.param(("n", BASE, TUNE, ROWS), id="another model"),
    ],
)
def test_a_version_is_another_when_anything_is(other: tuple[str, str, FineTune | None, str]) -> None:
    assert names.version_name(*other) != names.version_name("m", BASE, TUNE, ROWS)


def test_the_same_work_has_one_name_wherever_its_results_are_kept() -> None:
    assert names.job_name(fetch_job()) == names.job_name(fetch_job(store="s3://elsewhere"))
    assert names.job_name(fetch_job()).startswith("fetch-")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(fetch_job(uri="hf://o/n"), id="another source"),
        pytest.param(fetch_job(revision="v2"), id="another revision"),
        pytest.param(fetch_job(role="embedding"), id="another role"),
        pytest.param(
            TrainJob(store="file:///store", version="v", base_digest=BASE, fine_tune=TUNE, dataset_digest=ROWS), id="another kind"
        ),
    ],
)
def test_other_work_has_another_name(other: FetchJob | TrainJob) -> None:
    assert names.job_name(other) != names.job_name(fetch_job())


def test_a_suite_that_is_added_later_trains_no_version_anew() -> None:
    job = TrainJob(store="file:///store", version="v", base_digest=BASE, fine_tune=TUNE, dataset_digest=ROWS)
    assert names.job_name(job.model_copy(update={"suites": {"exam": "exam.jsonl"}})) == names.job_name(job)


def test_models_share_an_engine_when_base_and_settings_are_the_same() -> None:
    serving = Serving()
    assert names.engine_name(BASE, serving) == names.engine_name(BASE, Serving())
    assert names.engine_name(BASE, serving) != names.engine_name("c" * 64, serving)
    assert re.fullmatch(NAME_PATTERN, names.engine_name(BASE, serving))


@UNTIMED
@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_aliases_are_what_milvus_allows_and_never_shared(one: tuple[str, str], other: tuple[str, str]) -> None:
    alias = names.collection_alias(*one)
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,254}", alias)
    assert (alias == names.collection_alias(*other)) == (one == other)


def test_namespaces_and_names_that_read_the_same_together_are_apart() -> None:
    assert names.collection_alias("a", "b-c") != names.collection_alias("a-b", "c")
    assert names.collection_alias("a", "-b".strip("-")) != names.collection_alias("a-", "b")


def test_a_collection_follows_its_content() -> None:
    alias = names.collection_alias("default", "docs")
    collection = names.collection_name(alias, {"digest": ROWS})
    assert collection.startswith(f"{alias}_")
    assert collection == names.collection_name(alias, {"digest": ROWS})
    assert collection != names.collection_name(alias, {"digest": BASE})


@UNTIMED
@given(NAMES)
def test_no_resource_can_take_the_name_of_a_base_or_a_version(model: str) -> None:
    version = names.version_name(model, BASE, TUNE, ROWS)
    served = [names.base_served_name(model), names.version_served_name(model, version)]
    assert len(set(served)) == 2
    assert not any(re.fullmatch(NAME_PATTERN, name) for name in served)
    assert served[1] == f"{model}:{version[-10:]}"
