import json
from pathlib import PurePosixPath

import pytest
import yaml

from modelyard.domain.documents import parse_documents, parse_texts, resolve_paths
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.evaluation import Evaluation
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.model import Model

HEAD = "apiVersion: modelyard.io/v1alpha1\n"
MODEL = HEAD + "kind: Model\nmetadata: {name: bot}\nspec:\n  source: {uri: 'hf://org/base'}\n"
TUNED = MODEL + "  fineTune:\n    dataset: {uri: rows.jsonl}\n"
SUITES = MODEL + "  evaluation:\n    suites: [{name: t, uri: t.jsonl}]\n"
KB = HEAD + "kind: KnowledgeBase\nmetadata: {name: docs}\nspec:\n"
EVALUATION = HEAD + "kind: Evaluation\nmetadata: {name: ev}\nspec:\n"
BOT = "document 1 (Model/bot): "
SPEC_FIELDS = "spec has source, fineTune, evaluation, serving, retention, retrain, suspend"
URI = (
    "`hf://ORG/NAME`, `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `file:///PATH`, or `package://NAME/FILE`: "
    "a file or folder that an installed Python package carries"
)

BAD = [
    pytest.param(
        MODEL + "  fine_tune: {}\n",
        [f"m.yaml:6: {BOT}spec.fine_tune is unknown; did you mean fineTune? {SPEC_FIELDS}"],
        id="a snake_case field is refused with its right spelling",
    ),
    pytest.param(
        MODEL + "  quantum: 1\n", [f"m.yaml:6: {BOT}spec.quantum is unknown; {SPEC_FIELDS}"], id="a field like no other lists the fields"
    ),
    pytest.param(
        TUNED + "    epochs: 3\n",
        [
            f"m.yaml:8: {BOT}spec.fineTune.epochs is unknown; did you mean spec.fineTune.hyperparameters.epochs? "
            "spec.fineTune has method, dataset, adapter, quantization, deepspeed, gradientCheckpointing, kernels, "
            "hyperparameters, workers, merge, maxFailures"
        ],
        id="a field one level too high is told its place",
    ),
    pytest.param(
        MODEL.replace("spec:", "labels: {a: b}\nspec:"),
        [f"m.yaml:4: {BOT}labels is unknown; did you mean metadata.labels? the document has apiVersion, kind, metadata, spec"],
        id="labels outside metadata",
    ),
    pytest.param(
        TUNED + "    hyperparameters: {epochs: -1}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.hyperparameters.epochs is -1; give a number, above 0"],
        id="a number out of range",
    ),
    pytest.param(
        TUNED + "    adapter: {rank: 1000}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.adapter.rank is 1000; give a whole number, at least 1 and at most 512"],
        id="a number out of a range with two ends",
    ),
    pytest.param(
        TUNED + "    hyperparameters: {maxSteps: three}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.hyperparameters.maxSteps is 'three'; give a whole number, at least 1"],
        id="a word where a number belongs",
    ),
    pytest.param(
        TUNED + "    workers: {count: 1.5}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.workers.count is 1.5; give a whole number, at least 1 and at most 1024"],
        id="a fraction where a whole number belongs",
    ),
    pytest.param(
        TUNED + "    workers: {resources: {CPU: many}}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.workers.resources.CPU is 'many'; give a number, at least 0"],
        id="a bad value in a free mapping",
    ),
    pytest.param(
        TUNED + "    method: dpo\n", [f"m.yaml:8: {BOT}spec.fineTune.method is 'dpo'; give sft"], id="a word that is not the only choice"
    ),
    pytest.param(
        MODEL + "  serving: {engine: vlm}\n",
        [f"m.yaml:6: {BOT}spec.serving.engine is 'vlm'; did you mean vllm? give one of auto, vllm, transformers"],
        id="a mistyped choice",
    ),
    pytest.param(
        TUNED + "    deepspeed: {zeroStage: 4}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.deepspeed.zeroStage is 4; give one of 0, 1, 2, 3"],
        id="a number that is not one of the choices",
    ),
    pytest.param(
        TUNED + "    adapter: {targetModules: 5}\n",
        [f"m.yaml:8: {BOT}spec.fineTune.adapter.targetModules is 5; give all-linear or a list"],
        id="the branches of a union make one line",
    ),
    pytest.param(
        TUNED + "    deepspeed:\n",
        [f"m.yaml:8: {BOT}spec.fineTune.deepspeed is empty; give a mapping with zeroStage, offload, nvmePath, or remove the line"],
        id="an optional field left empty",
    ),
    pytest.param(
        MODEL + "  fineTune: {method: sft}\n",
        [f"m.yaml:6: {BOT}spec.fineTune.dataset is missing; add it with at least uri"],
        id="a missing mapping is told what it needs",
    ),
    pytest.param(
        MODEL.replace("uri:", "revision:"),
        [f"m.yaml:5: {BOT}spec.source.uri is missing; add it: {URI}"],
        id="a missing value is described",
    ),
    pytest.param(
        MODEL.replace("hf://org/base", "org/base"),
        [f"m.yaml:5: {BOT}spec.source.uri is 'org/base'; give {URI}"],
        id="a source without scheme",
    ),
    pytest.param(
        MODEL.replace("}\n", ", revision: 1.0}\n").replace("bot, revision: 1.0", "bot"),
        [f"m.yaml:5: {BOT}spec.source.revision is 1.0, which is not text; put it in quotes: '1.0'"],
        id="a number where text belongs is quoted",
    ),
    pytest.param(
        MODEL.replace("'hf://org/base'", "'hf://org/base', revision: 2026-01-01"),
        [f"m.yaml:5: {BOT}spec.source.revision is 2026-01-01, which is not text; put it in quotes: '2026-01-01'"],
        id="YAML reads a date",
    ),
    pytest.param(
        MODEL.replace("bot", "My_Bot"),
        [
            "m.yaml:3: document 1 (Model/My_Bot): metadata.name is 'My_Bot'; give lower-case letters, digits and `-`, "
            "with a letter or digit at both ends, at most 63 characters"
        ],
        id="a name that Kubernetes would refuse",
    ),
    pytest.param(
        MODEL.replace("bot", "b" * 64),
        [
            f"m.yaml:3: document 1 (Model/{'b' * 64}): metadata.name is '{'b' * 59}…'; give lower-case letters, digits and `-`, "
            "with a letter or digit at both ends, at most 63 characters"
        ],
        id="a name that is too long",
    ),
    pytest.param(
        MODEL.replace("name: bot", "name: bot, labels: {tier: 1}"),
        [f"m.yaml:3: {BOT}metadata.labels.tier is 1, which is not text; put it in quotes: '1'"],
        id="a label that is a number",
    ),
    pytest.param(
        MODEL + "  true: 1\n", [f"m.yaml:4: {BOT}spec has a key that is not text; put it in quotes"], id="a key that YAML reads as true"
    ),
    pytest.param(
        TUNED + "    hyperparameters: {batchSize: 6}\n",
        [f"m.yaml:6: {BOT}spec.fineTune: batchSize 6 is not a multiple of microBatchSize × workers.count = 4; set batchSize to 4"],
        id="two fields that do not fit together",
    ),
    pytest.param(
        MODEL + "  evaluation: {suites: []}\n",
        [f"m.yaml:6: {BOT}spec.evaluation.suites is an empty list; give a list with at least 1 and at most 32 entries"],
        id="an empty list",
    ),
    pytest.param(
        SUITES + "    gate: [{metric: accuracy, atLeast: 1}]\n",
        [f"m.yaml:8: {BOT}spec.evaluation.gate[0].metric is 'accuracy'; give SUITE.METRIC"],
        id="a metric without a suite",
    ),
    pytest.param(
        SUITES + "    gate: [{metric: t.a}]\n",
        [
            f"m.yaml:8: {BOT}spec.evaluation.gate[0]: gate on 't.a' has no comparison; "
            "give exactly one of atLeast, atMost, notWorseThan, betterThan"
        ],
        id="a gate without comparison",
    ),
    pytest.param(
        KB + "  sources: [{uri: docs, include: '*.md'}]\n",
        ["m.yaml:5: document 1 (KnowledgeBase/docs): spec.sources[0].include is '*.md'; give a list"],
        id="a word where a list belongs",
    ),
    pytest.param(
        KB + "  sources: [{uri: docs}]\n  chunking: {maxTokens: 100, overlapTokens: 90}\n",
        [
            "m.yaml:6: document 1 (KnowledgeBase/docs): spec.chunking: "
            "overlapTokens 90 is more than half of maxTokens 100; set it to at most 50"
        ],
        id="an overlap that is too large",
    ),
    pytest.param(
        EVALUATION + "  suites: [{name: t, uri: x}]\n",
        ["m.yaml:4: document 1 (Evaluation/ev): spec.model is missing; add it: The Model whose active version, else base, is asked"],
        id="an evaluation of nothing",
    ),
    pytest.param(
        MODEL.replace("kind: Model", "kind: model"),
        ["m.yaml:2: document 1 (model/bot): kind is 'model'; did you mean Model? write one of Model, Evaluation, KnowledgeBase"],
        id="a kind in lower case",
    ),
    pytest.param(
        "a: 1\n",
        [
            "m.yaml:1: document 1 (no kind): apiVersion is missing; write apiVersion: modelyard.io/v1alpha1",
            "m.yaml:1: document 1 (no kind): kind is missing; write one of Model, Evaluation, KnowledgeBase",
        ],
        id="no manifest at all",
    ),
    pytest.param(
        MODEL.replace("v1alpha1", "v1"),
        [f"m.yaml:1: {BOT}apiVersion is 'modelyard.io/v1'; write apiVersion: modelyard.io/v1alpha1"],
        id="another version of the API",
    ),
    pytest.param(
        HEAD + "kind: ModelVersion\nmetadata: {name: v}\n",
        [
            "m.yaml:2: document 1 (ModelVersion/v): kind is ModelVersion, which is made by the platform alone; "
            "apply the Model that it belongs to, and the platform makes its versions"
        ],
        id="a version cannot be applied",
    ),
    pytest.param(
        "- a\n",
        ["m.yaml:1: document 1 (no kind): it is a list; write a mapping that begins with apiVersion: modelyard.io/v1alpha1"],
        id="a list",
    ),
    pytest.param(
        HEAD + "kind: Model\nmetadata:\nspec:\n",
        [
            "m.yaml:3: document 1 (Model): metadata is empty; give a mapping with name, namespace, labels, annotations",
            "m.yaml:4: document 1 (Model): spec is empty; "
            "give a mapping with source, fineTune, evaluation, serving, retention, retrain, suspend",
        ],
        id="empty sections",
    ),
    pytest.param(
        MODEL + "  source: {uri: 'hf://a/b'}\n",
        [f"m.yaml:5: {BOT}spec.source is given twice, on lines 5 and 6; keep one of them"],
        id="a key that is given twice",
    ),
    pytest.param(
        MODEL + "---\n" + MODEL,
        ["m.yaml:7: Model/bot is declared again; it is already in m.yaml:1; keep one of them"],
        id="the same name twice",
    ),
    pytest.param(
        "a: b: c\n",
        ["m.yaml:1:5: not valid YAML: mapping values are not allowed here; put text that holds `: ` in quotes, and check the indentation"],
        id="a colon in plain text",
    ),
    pytest.param(
        "a:\n\tb: 1\n",
        ["m.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token; indent with spaces, not tabs"],
        id="tabs",
    ),
    pytest.param(
        "a: !py 3\n",
        ["m.yaml:1:4: not valid YAML: could not determine a constructor for the tag '!py'; remove the tag, plain YAML needs none"],
        id="a tag",
    ),
    pytest.param("a: \x00\n", ["m.yaml: character #x0000 at position 3 is not text; save it as UTF-8"], id="a binary file"),
    pytest.param(
        MODEL + "  bad: 1\n---\na: [1\n",
        [
            f"m.yaml:6: {BOT}spec.bad is unknown; {SPEC_FIELDS}",
            "m.yaml:9:1: not valid YAML: expected ',' or ']', but got '<stream end>'; correct the syntax there",
        ],
        id="problems before a syntax error are reported too",
    ),
    pytest.param(
        MODEL + "  x: &again [*again]\n", [f"m.yaml:6: {BOT}spec.x is unknown; {SPEC_FIELDS}"], id="an alias that leads into itself"
    ),
    pytest.param(
        '{"kind": "Evaluation", "kind": "Model",\n "spec": 1}',
        [
            "m.yaml: document 1 (Model): kind is given 2 times in one object; keep one of them",
            "m.yaml: document 1 (Model): apiVersion is missing; write apiVersion: modelyard.io/v1alpha1",
            "m.yaml: document 1 (Model): metadata is missing; add it with at least name",
            "m.yaml: document 1 (Model): spec is 1; give a mapping with source, fineTune, evaluation, serving, retention, retrain, suspend",
        ],
        id="JSON knows no lines",
    ),
    pytest.param(
        "kind: List\nitems:\n- " + (MODEL + "  bad: 1").replace("\n", "\n  "),
        [f"m.yaml:8: document 1, item 1 (Model/bot): spec.bad is unknown; {SPEC_FIELDS}"],
        id="an item of a List",
    ),
]


@pytest.mark.parametrize(("text", "lines"), BAD)
def test_every_problem_is_one_line(text: str, lines: list[str]) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_documents(text, "m.yaml")
    assert str(raised.value).splitlines() == lines


def test_broken_json_is_placed() -> None:
    with pytest.raises(InvalidInputError, match=r"^m\.json:2:1: not valid JSON: Expecting value; correct the syntax there$"):
        parse_documents('{"a":\n}', "m.json")


def test_problems_of_all_documents_and_files_come_together() -> None:
    bad = MODEL + "  bad: 1\n"
    with pytest.raises(InvalidInputError) as raised:
        parse_texts({"a.yaml": bad + "---\n" + bad, "b.yaml": bad})
    assert [line.split(" (")[0] for line in str(raised.value).splitlines()] == [
        "a.yaml:6: document 1",
        "a.yaml:13: document 2",
        "b.yaml:6: document 1",
    ]


def test_the_same_name_in_two_files_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^b\.yaml:1: Model/bot is declared again; it is already in a\.yaml:1; keep one of them$"):
        parse_texts({"a.yaml": MODEL, "b.yaml": MODEL})


def test_documents_keep_their_order_and_empty_ones_are_skipped() -> None:
    text = f"# only a comment\n---\n{MODEL}---\n---\n{KB}  sources: [{{uri: docs}}]\n"
    assert [type(resource) for resource in parse_documents(text, "m.yaml")] == [Model, KnowledgeBase]


def test_yaml_writes_small_numbers_without_a_point() -> None:
    (model,) = parse_documents(TUNED + "    hyperparameters: {learningRate: 2e-4}\n", "m.yaml")
    assert isinstance(model, Model) and model.spec.fine_tune
    assert model.spec.fine_tune.hyperparameters.learning_rate == 2e-4


@pytest.mark.parametrize("write", [pytest.param(yaml.safe_dump, id="as YAML"), pytest.param(json.dumps, id="as JSON")])
def test_what_the_platform_prints_can_be_applied_again(write) -> None:
    (model,) = parse_documents(TUNED, "m.yaml")
    stored = model.wire() | {"status": {"phase": "Ready", "servedNames": ["bot"]}}
    stored["metadata"] |= {"uid": "1", "generation": 4, "resourceVersion": 9, "creationTimestamp": "2026-01-01T00:00:00Z"}
    assert parse_documents(write({"kind": "List", "items": [stored]}), "m.yaml") == [model]


def test_relative_uris_become_absolute() -> None:
    documents = [
        TUNED + "  evaluation: {suites: [{name: t, uri: ../suites/t.jsonl, fewShot: {uri: shots.jsonl}}]}\n",
        EVALUATION + "  model: bot\n  suites: [{name: t, uri: 's3://yard/t.jsonl'}]\n",
        KB + "  sources: [{uri: my docs}, {uri: /srv/docs}]\n",
    ]
    found = parse_documents("---\n".join(documents), "m.yaml")
    model, evaluation, knowledge_base = (resolve_paths(resource, PurePosixPath("/home/me/yard")) for resource in found)
    assert isinstance(model, Model) and model.spec.fine_tune and model.spec.evaluation
    assert model.spec.fine_tune.dataset.uri == "file:///home/me/yard/rows.jsonl"
    (suite,) = model.spec.evaluation.suites
    assert suite.uri == "file:///home/me/suites/t.jsonl"
    assert suite.few_shot and suite.few_shot.uri == "file:///home/me/yard/shots.jsonl"
    assert isinstance(evaluation, Evaluation) and evaluation.spec.suites[0].uri == "s3://yard/t.jsonl"
    assert isinstance(knowledge_base, KnowledgeBase)
    assert [source.uri for source in knowledge_base.spec.sources] == ["file:///home/me/yard/my docs", "file:///srv/docs"]


def test_relative_uris_of_an_evaluation_beside_a_rollout_become_absolute() -> None:
    evaluation = "{suites: [{name: t, uri: live.jsonl}], gate: [{metric: t.score, atLeast: 0.5}]}"
    (found,) = parse_documents(MODEL + f"  serving: {{rollout: {{steps: [10], evaluation: {evaluation}}}}}\n", "m.yaml")
    model = resolve_paths(found, PurePosixPath("/home/me/yard"))
    assert isinstance(model, Model) and model.spec.serving and model.spec.serving.rollout and model.spec.serving.rollout.evaluation
    assert model.spec.serving.rollout.evaluation.suites[0].uri == "file:///home/me/yard/live.jsonl"
