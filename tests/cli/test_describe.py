from collections.abc import Callable

from typer.testing import Result

from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")

EXPECTED = """\
Name:         bot
Namespace:    default
Kind:         Model
Created:      2026-01-01T00:00:00Z (90s ago)
Generation:   1
Phase:        Training
Message:      job train-1 is running
Progress:     training 42%, step 21/50, loss 1.250, 96 tokens/s, 3m20s left
Job:          train-1
Version:      bot-0123456789
Served as:    bot:base
Spec:
  source:
    uri: hf://org/base
  fineTune:
    dataset:
      uri: file:///rows.jsonl
Conditions:
  TYPE   STATUS  REASON   SINCE  MESSAGE
  Ready  False   Running  90s    job train-1 is running
Scores:
  METRIC   VALUE  95% INTERVAL    BASE   ROWS
  t.score  0.610  0.510 to 0.710  0.500  40
  t.valid  0.700  0.600 to 0.800         40
Gate (missed):
  RESULT  METRIC   VALUE  BAR           MESSAGE
  missed  t.score  0.610  at least 0.8  t.score 0.610 misses at least 0.8
  passed  t.valid  0.700  at least 0.5  t.valid 0.700 clears at least 0.5
Versions:
  NAME            MODEL  REVISION  PHASE     SCORE  BASE   AGE
  bot-0123456789  bot    1         Rejected  0.610  0.500  90s
Events:
  LAST SEEN  TYPE     REASON     COUNT  MESSAGE
  90s        Warning  JobFailed  2      no space left
"""


def lines(output: str) -> list[str]:
    return [line.rstrip() for line in output.splitlines()]


def test_a_model_is_explained(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    store.set_status(MODEL, world.training())
    for _ in range(2):
        store.record_event(MODEL, "Warning", "JobFailed", "no space left")
    world.seconds = 90
    result = run("describe", "model", "bot")
    assert lines(result.output) == EXPECTED.splitlines()
    assert run("describe", "model/bot").output == result.output


def test_a_version_names_its_owner(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    described = lines(run("describe", "mv/bot-0123456789").output)
    assert "Owner:        model/bot" in described
    assert "Adapter:      file:///artifacts/c0ffee" in described
    assert "Gate (missed):" in described


def test_a_kind_alone_is_no_resource(run: Callable[..., Result], store: ResourceStore) -> None:
    result = run("describe", "model")
    assert (result.exit_code, result.stderr) == (1, "error: model has no name; name one: model/NAME (`modelyard get model` lists them)\n")
