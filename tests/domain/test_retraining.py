"""A dataset that changes under a Model: what trains anew, and what only says so."""

from typing import Any

import pytest
from tests.domain.lifecycle_world import World, model

from modelyard.domain.observed import JobSeen
from modelyard.domain.resource import Condition

ROWS, OTHER, THIRD = "1" * 64, "2" * 64, "3" * 64
DATASET = "file:///train.jsonl"


class Yard(World):
    """Every set of rows makes an adapter of its own; all of them pass."""

    def result_of(self, job: Any) -> str:
        if job.kind == "train":
            self.adapter = job.dataset_digest
            self.scores[job.dataset_digest] = 0.9
        return super().result_of(job)

    def change(self, digest: str) -> None:
        self.problems = {}
        self.digests = {DATASET: digest}

    def ask(self, request: str | None) -> None:
        annotations = {} if request is None else {"modelyard.io/refresh": request}
        metadata = self.resource.metadata.model_copy(update={"annotations": annotations})
        self.resource = self.resource.model_copy(update={"metadata": metadata})

    @property
    def rows(self) -> str:
        """Those of the version that the spec asks for."""
        return self.versions[self.resource.status.version].spec.dataset_digest

    @property
    def trained(self) -> int:
        return sum(job.kind == "train" for job in self.asked)

    @property
    def difference(self) -> Condition | None:
        return next((c for c in self.resource.status.conditions if c.type == "DatasetCurrent"), None)


def ready(**spec: Any) -> Yard:
    """A model that serves what was trained on ROWS."""
    yard = Yard(model(**spec))
    yard.change(ROWS)
    yard.settle()
    assert (yard.resource.status.phase, yard.rows, yard.difference) == ("Ready", ROWS, None)
    return yard


def test_changed_rows_are_told_and_nothing_is_trained() -> None:
    yard = ready()
    version = yard.resource.status.version
    yard.change(OTHER)
    yard.settle()
    assert (yard.resource.status.phase, yard.resource.status.version, yard.trained) == ("Ready", version, 1)
    told = yard.difference
    assert told is not None and (told.status, told.reason) == ("False", "DatasetChanged")
    assert told.message == (
        f"the rows are {OTHER[:12]} now, and {version} was trained on {ROWS[:12]}; to train on them, run `modelyard refresh model bot` "
        "or set the annotation modelyard.io/refresh to a new text; spec.retrain: on-change does it by itself"
    )


def test_rows_that_are_as_before_again_are_no_difference() -> None:
    yard = ready()
    yard.change(OTHER)
    yard.settle()
    yard.change(ROWS)
    yard.settle()
    assert yard.difference is None and yard.trained == 1


def test_where_it_is_asked_for_changed_rows_train_by_themselves() -> None:
    yard = ready(retrain="on-change")
    yard.change(OTHER)
    yard.settle()
    assert (yard.rows, yard.trained, yard.difference) == (OTHER, 2, None)


def test_to_opt_in_later_takes_up_what_changed_before() -> None:
    yard = ready()
    yard.change(OTHER)
    yard.settle()
    spec = yard.resource.spec.model_copy(update={"retrain": "on-change"})
    yard.resource = yard.resource.model_copy(update={"spec": spec})
    yard.settle()
    assert (yard.rows, yard.difference) == (OTHER, None)


def test_to_opt_in_or_out_makes_no_other_version() -> None:
    yard = ready()
    version = yard.resource.status.version
    for choice in ("on-change", "never"):
        yard.resource = yard.resource.model_copy(update={"spec": yard.resource.spec.model_copy(update={"retrain": choice})})
        yard.settle()
    assert (yard.resource.status.version, yard.trained) == (version, 1)


def test_a_person_has_it_trained_once_for_each_request() -> None:
    yard = ready()
    yard.change(OTHER)
    yard.ask("now")
    yard.settle()
    assert (yard.rows, yard.trained, yard.difference, yard.resource.status.refreshed) == (OTHER, 2, None, "now")
    yard.change(THIRD)
    yard.settle()
    assert (yard.rows, yard.trained) == (OTHER, 2)
    yard.ask("again")
    yard.settle()
    assert (yard.rows, yard.trained, yard.resource.status.refreshed) == (THIRD, 3, "again")


def test_a_request_that_was_taken_away_counts_when_it_is_given_again() -> None:
    yard = ready()
    yard.ask("now")
    yard.settle()
    yard.ask(None)
    yard.settle()
    assert yard.resource.status.refreshed == ""
    yard.change(OTHER)
    yard.ask("now")
    yard.settle()
    assert yard.rows == OTHER


def test_a_request_without_changed_rows_trains_nothing() -> None:
    yard = ready()
    yard.ask("now")
    yard.settle()
    assert (yard.rows, yard.trained, yard.resource.status.refreshed) == (ROWS, 1, "now")


def test_what_is_not_trained_yet_follows_the_rows() -> None:
    yard = Yard(model())
    yard.change(ROWS)
    yard.step()
    yard.finish()
    yard.step()
    yard.change(OTHER)
    yard.settle()
    assert yard.rows == OTHER


def test_rows_that_change_while_a_request_is_trained_are_followed_too() -> None:
    yard = ready()
    yard.change(OTHER)
    yard.ask("now")
    yard.step()
    yard.change(THIRD)
    yard.settle()
    assert (yard.rows, yard.resource.status.refreshed) == (THIRD, "now")


def test_what_is_trained_and_not_scored_yet_stays_with_its_rows() -> None:
    yard = Yard(model())
    yard.change(ROWS)
    for _ in range(20):
        yard.step()
        if yard.trained:
            break
        yard.finish()
    yard.jobs = {
        name: JobSeen("succeeded", result=yard.result_of(job))
        for job in yard.asked
        for name in yard.jobs
        if name.startswith(f"{job.kind}-") and job.kind in ("fetch", "train")
    } | {name: seen for name, seen in yard.jobs.items() if name.startswith("evaluate-")}
    yard.change(OTHER)
    yard.step()
    assert yard.rows == ROWS
    yard.settle()
    assert (yard.rows, yard.trained) == (ROWS, 1)


def test_rows_that_broke_the_training_are_replaced_by_better_ones() -> None:
    yard = Yard(model())
    yard.change(ROWS)
    yard.step()
    yard.finish()
    yard.step()
    yard.jobs |= {name: JobSeen("failed", message="line 3 is broken") for name in yard.jobs if name.startswith("train-")}
    yard.finish()
    yard.step()
    assert yard.resource.status.phase == "Failed"
    yard.change(OTHER)
    yard.settle()
    assert (yard.resource.status.phase, yard.rows) == ("Ready", OTHER)


def test_rows_that_are_gone_leave_what_was_trained_on_them_serving() -> None:
    yard = ready()
    yard.problems = {DATASET: "file:///train.jsonl does not exist; correct the uri"}
    yard.ask("now")
    yard.settle()
    assert (yard.resource.status.phase, yard.rows, yard.resource.status.refreshed) == ("Ready", ROWS, "")
    told = yard.difference
    assert told is not None and (told.status, told.reason) == ("Unknown", "InputNotFound")
    assert told.message == f"file:///train.jsonl does not exist; correct the uri; {yard.resource.status.version} goes on without it"


def test_another_fine_tuning_takes_the_rows_as_they_are_and_going_back_those_of_then() -> None:
    yard = ready()
    first = yard.resource.spec
    yard.change(OTHER)
    changed = first.model_copy(update={"fine_tune": first.fine_tune.model_copy(update={"max_failures": 1})})
    yard.resource = yard.resource.model_copy(update={"spec": changed})
    yard.settle()
    assert yard.rows == OTHER
    yard.resource = yard.resource.model_copy(update={"spec": first})
    yard.settle()
    assert (yard.rows, yard.trained) == (ROWS, 2)
    assert yard.difference is not None


def test_going_back_by_hand_to_rows_that_were_there_before_stays_there() -> None:
    yard = ready()
    for digest, request in ((OTHER, "one"), (ROWS, "two")):
        yard.change(digest)
        yard.ask(request)
        yard.settle()
    assert (yard.rows, yard.trained, yard.difference) == (ROWS, 2, None)


@pytest.mark.parametrize("retrain", ["never", "on-change"])
def test_a_model_that_is_not_tuned_has_no_rows(retrain: str) -> None:
    document = model().wire()
    document["spec"] = {"source": document["spec"]["source"], "retrain": retrain}
    yard = Yard(type(model()).model_validate(document))
    yard.settle()
    assert yard.resource.status.phase == "Ready"


def test_whole_weights_are_no_less_trained_than_an_adapter_when_their_run_is_gone() -> None:
    yard = Yard(model(fineTune={"dataset": {"uri": DATASET}, "adapter": {"type": "none"}}), trained_kind="causal-lm")
    yard.change(ROWS)
    yard.settle()
    yard.change(OTHER)
    yard.jobs = {name: seen for name, seen in yard.jobs.items() if not name.startswith("train-")}
    yard.step()
    assert yard.difference is not None and yard.difference.reason == "DatasetChanged"
