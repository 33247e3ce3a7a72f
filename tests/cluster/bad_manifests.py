"""Manifests that the parser and the API server must both refuse, with the words that a person needs. Plain data."""

from dataclasses import dataclass

HEAD = "apiVersion: modelyard.io/v1alpha1\n"
MODEL = HEAD + "kind: Model\nmetadata: {name: bot}\nspec:\n  source: {uri: 'hf://org/base'}\n"
TUNED = MODEL + "  fineTune:\n    dataset: {uri: rows.jsonl}\n"
SUITES = MODEL + "  evaluation:\n    suites: [{name: t, uri: t.jsonl}]\n"
ROLLOUT = MODEL + "  serving:\n    rollout: "
KB = HEAD + "kind: KnowledgeBase\nmetadata: {name: docs}\nspec:\n"
DOCS = KB + "  sources: [{uri: docs}]\n"
EVALUATION = HEAD + "kind: Evaluation\nmetadata: {name: ev}\nspec:\n"
ASKED = EVALUATION + "  model: bot\n  suites: [{name: t, uri: t.jsonl}]\n"
SCHEDULED = ASKED + "  schedule: "
FIELDS = "MINUTE HOUR DAY MONTH WEEKDAY"


@dataclass(frozen=True)
class Bad:
    """A manifest that is wrong in one thing."""

    what: str
    text: str
    words: tuple[str, ...]
    """In both messages: the path, the value, the remedy."""
    server: tuple[str, ...] = ()
    """In the API server's alone."""


BAD = (
    # Unknown fields: refused by strict field validation, kubectl's default
    Bad("a snake_case field", MODEL + "  fine_tune: {}\n", ("spec.fine_tune", "unknown")),
    Bad("a field like no other", MODEL + "  quantum: 1\n", ("spec.quantum", "unknown")),
    Bad("a field one level too high", TUNED + "    epochs: 3\n", ("spec.fineTune.epochs", "unknown")),
    Bad("an unknown field in a list", SUITES + "    gate: [{metric: t.a, atleast: 1}]\n", ("spec.evaluation.gate[0].atleast", "unknown")),
    Bad("an unknown section of a knowledge base", DOCS + "  reranker: {}\n", ("spec.reranker", "unknown")),
    # Missing and empty
    Bad("no source", MODEL.replace("source: {uri: 'hf://org/base'}", "suspend: false"), ("spec.source",), ("Required value",)),
    Bad("a source without URI", MODEL.replace("uri: 'hf://org/base'", ""), ("spec.source.uri",), ("Required value",)),
    Bad("fine-tuning on nothing", MODEL + "  fineTune: {method: sft}\n", ("spec.fineTune.dataset",), ("Required value",)),
    Bad("no documents", KB + "  sources: []\n", ("spec.sources",), ("should have at least 1 items",)),
    Bad("an evaluation of nothing", ASKED.replace("  model: bot\n", ""), ("spec.model",), ("Required value",)),
    Bad("no suite", MODEL + "  evaluation: {suites: []}\n", ("spec.evaluation.suites",), ("should have at least 1 items",)),
    Bad("a suite without rows", SUITES.replace(", uri: t.jsonl", ""), ("spec.evaluation.suites[0].uri",), ("Required value",)),
    Bad("a dataset without address", TUNED.replace("rows.jsonl", "''"), ("spec.fineTune.dataset.uri",), ("at least 1 chars",)),
    Bad(
        "no number of examples",
        SUITES.replace("uri: t.jsonl", "uri: t.jsonl, fewShot: {uri: x, counts: []}"),
        ("spec.evaluation.suites[0].fewShot.counts",),
        ("should have at least 1 items",),
    ),
    # The wrong type
    Bad(
        "a word where a number belongs",
        TUNED + "    hyperparameters: {maxSteps: three}\n",
        ("spec.fineTune.hyperparameters.maxSteps",),
        ("must be of type integer",),
    ),
    Bad(
        "a fraction where a whole number belongs",
        TUNED + "    workers: {count: 1.5}\n",
        ("spec.fineTune.workers.count",),
        ("must be of type integer",),
    ),
    Bad(
        "a bad value in a free mapping",
        TUNED + "    workers: {resources: {CPU: many}}\n",
        ("spec.fineTune.workers.resources.CPU",),
        ("must be of type number",),
    ),
    Bad(
        "a number where text belongs",
        MODEL.replace("'hf://org/base'", "'hf://org/base', revision: 1"),
        ("spec.source.revision",),
        ("must be of type string",),
    ),
    Bad(
        "a word where a list belongs",
        KB + "  sources: [{uri: docs, include: '*.md'}]\n",
        ("spec.sources[0].include",),
        ("must be of type array",),
    ),
    Bad("target modules that are a number", TUNED + "    adapter: {targetModules: 5}\n", ("targetModules", "all-linear")),
    Bad("target modules that are another word", TUNED + "    adapter: {targetModules: all}\n", ("targetModules", "all-linear")),
    Bad("target modules that are a mapping", TUNED + "    adapter: {targetModules: {q_proj: 1}}\n", ("targetModules", "all-linear")),
    Bad(
        "target modules that are numbers",
        TUNED + "    adapter: {targetModules: [1]}\n",
        ("spec.fineTune.adapter.targetModules",),
        ("must be of type string",),
    ),
    # Choices
    Bad(
        "a method that there is not",
        TUNED + "    method: guess\n",
        ("spec.fineTune.method", "guess", "sft"),
        ("supported values",),
    ),
    Bad("a mistyped engine", MODEL + "  serving: {engine: vlm}\n", ("spec.serving.engine", "vlm", "auto", "vllm", "transformers")),
    Bad("a ZeRO stage that there is not", TUNED + "    deepspeed: {zeroStage: 4}\n", ("spec.fineTune.deepspeed.zeroStage", "4")),
    Bad(
        "a dataset format that there is not",
        TUNED.replace("rows.jsonl", "rows.jsonl, format: csv"),
        ("spec.fineTune.dataset.format", "csv", "chat", "alpaca", "prompt-completion"),
    ),
    Bad(
        "a scorer that there is not",
        ASKED.replace("uri: t.jsonl", "uri: t.jsonl, scorer: bleu"),
        ("spec.suites[0].scorer", "bleu", "json-record"),
    ),
    Bad(
        "a comparison with a stranger",
        SUITES + "    gate: [{metric: t.a, betterThan: gpt}]\n",
        ("spec.evaluation.gate[0].betterThan", "gpt", "base", "active"),
    ),
    # Ranges
    Bad(
        "a negative number of epochs",
        TUNED + "    hyperparameters: {epochs: -1}\n",
        ("spec.fineTune.hyperparameters.epochs", "-1"),
        ("greater than 0",),
    ),
    Bad("no rank", TUNED + "    adapter: {rank: 0}\n", ("spec.fineTune.adapter.rank", "0"), ("greater than or equal to 1",)),
    Bad("a huge rank", TUNED + "    adapter: {rank: 1000}\n", ("spec.fineTune.adapter.rank", "1000", "512")),
    Bad("everything dropped", TUNED + "    adapter: {dropout: 1.0}\n", ("spec.fineTune.adapter.dropout", "1"), ("less than 1",)),
    Bad("no worker", TUNED + "    workers: {count: 0}\n", ("spec.fineTune.workers.count", "0"), ("greater than or equal to 1",)),
    Bad(
        "less than nothing reserved",
        TUNED + "    workers: {resources: {GPU: -1}}\n",
        ("spec.fineTune.workers.resources.GPU", "-1"),
        ("greater than or equal to 0",),
    ),
    Bad(
        "hardly any row to learn from",
        TUNED.replace("rows.jsonl", "rows.jsonl, validationSplit: 0.9"),
        ("spec.fineTune.dataset.validationSplit", "0.9", "0.5"),
    ),
    Bad("no version kept", MODEL + "  retention: {keepVersions: 0}\n", ("spec.retention.keepVersions", "0")),
    Bad("too short for any prompt", MODEL + "  serving: {maxModelLength: 10}\n", ("spec.serving.maxModelLength", "10", "64")),
    Bad(
        "chunks too small to say anything", DOCS + "  chunking: {maxTokens: 8, overlapTokens: 0}\n", ("spec.chunking.maxTokens", "8", "16")
    ),
    Bad("more passages than a prompt holds", DOCS + "  ranking: {topK: 51}\n", ("spec.ranking.topK", "51", "50")),
    Bad("a negative margin", SUITES + "    gate: [{metric: t.a, betterThan: active, margin: -0.1}]\n", ("gate[0].margin", "-0.1")),
    Bad("no row asked", ASKED.replace("uri: t.jsonl", "uri: t.jsonl, limit: 0"), ("spec.suites[0].limit", "0")),
    Bad(
        "more suites than are judged together",
        EVALUATION + "  model: bot\n  suites:\n" + "".join(f"  - {{name: t{number}, uri: t}}\n" for number in range(33)),
        ("spec.suites", "32"),
    ),
    # Texts of a form
    Bad(
        "a source without scheme",
        MODEL.replace("hf://org/base", "org/base"),
        ("spec.source.uri", "'org/base'", "give `hf://ORG/NAME`"),
    ),
    Bad("a source of another scheme", MODEL.replace("hf://", "http://"), ("spec.source.uri", "'http://org/base'", "`s3://BUCKET/PATH`")),
    Bad("nothing behind the scheme", MODEL.replace("hf://org/base", "hf://"), ("spec.source.uri", "'hf://'", "give `hf://ORG/NAME`")),
    Bad(
        "an embedding model without scheme",
        DOCS + "  embedding: {source: {uri: all-minilm}}\n",
        ("spec.embedding.source.uri", "'all-minilm'", "`package://NAME/FILE`"),
    ),
    Bad(
        "a metric without a suite",
        SUITES + "    gate: [{metric: accuracy, atLeast: 1}]\n",
        ("spec.evaluation.gate[0].metric", "'accuracy'", "give SUITE.METRIC"),
    ),
    Bad(
        "a suite that no metric can name",
        ASKED.replace("name: t,", "name: My Suite,"),
        ("spec.suites[0].name", "'My Suite'", "give lower-case letters, digits and `-`"),
    ),
    Bad("a Model of no possible name", ASKED.replace("model: bot", "model: Bot"), ("spec.model", "'Bot'", "give lower-case letters")),
    Bad(
        "an interval without unit", ROLLOUT + "{steps: [10], interval: '5'}\n", ("spec.serving.rollout.interval", "'5'", "30s, 5m or 1h30m")
    ),
    # Names
    Bad("a name with a capital", MODEL.replace("bot", "Bot"), ("metadata.name", "Bot"), ("lower case alphanumeric",)),
    Bad("a name of 64 characters", MODEL.replace("bot", "b" * 64), ("metadata.name", "b" * 50, "at most 63 characters")),
    Bad("a name with a dot", MODEL.replace("bot", "bot.v2"), ("metadata.name", "'bot.v2'", "lower-case letters, digits and `-`")),
    Bad("a name of 253 characters", DOCS.replace("name: docs", "name: " + "d" * 253), ("metadata.name", "at most 63 characters")),
    # Fields that do not fit together
    Bad(
        "a batch that does not divide",
        TUNED + "    hyperparameters: {batchSize: 6}\n",
        ("spec.fineTune", "batchSize 6 is not a multiple of microBatchSize × workers.count = 4; set batchSize to 4"),
    ),
    Bad(
        "a batch below one pass",
        TUNED + "    workers: {count: 4}\n",
        ("spec.fineTune", "batchSize 8 is not a multiple of microBatchSize × workers.count = 16; set batchSize to 16"),
    ),
    Bad(
        "4 bits under ZeRO 3",
        TUNED + "    quantization: {type: nf4}\n    deepspeed: {zeroStage: 3}\n",
        ("spec.fineTune", "ZeRO 3 cannot shard weights in nf4; set deepspeed.zeroStage to 2"),
    ),
    Bad(
        "quantized weights trained themselves",
        TUNED + "    quantization: {type: int8}\n    adapter: {type: none}\n",
        (
            "spec.fineTune",
            "quantization int8 holds weights that cannot be trained",
            "set adapter.type to lora, or quantization.type to none",
        ),
    ),
    Bad(
        "the best weights without a measurement",
        TUNED.replace("dataset: {", "dataset: {validationSplit: 0, ") + "    hyperparameters: {keep: best}\n",
        ("spec.fineTune", "hyperparameters.keep: best needs a validation loss, and dataset.validationSplit is 0; set it to 0.1, say"),
    ),
    Bad(
        "an early end without a measurement",
        TUNED.replace("dataset: {", "dataset: {validationSplit: 0, ") + "    hyperparameters: {earlyStopping: {patience: 2}}\n",
        ("spec.fineTune", "hyperparameters.earlyStopping needs a validation loss, and dataset.validationSplit is 0; set it to 0.1, say"),
    ),
    Bad("GPU kernels on a CPU", TUNED + "    kernels: liger\n", ("spec.fineTune", "set workers.resources.GPU to 1, or kernels to plain")),
    Bad(
        "offload of what is not sharded",
        TUNED + "    deepspeed: {zeroStage: 0, offload: optimizer}\n",
        ("spec.fineTune.deepspeed", "offload optimizer wants sharded optimizer state; set zeroStage to 2, or offload to none"),
    ),
    Bad(
        "parameters offloaded under ZeRO 2",
        TUNED + "    deepspeed: {offload: parameters}\n",
        ("spec.fineTune.deepspeed", "offload parameters wants ZeRO 3, and zeroStage is 2; set zeroStage to 3"),
    ),
    Bad(
        "a disk for ZeRO 2",
        TUNED + "    deepspeed: {offload: optimizer, nvmePath: /scratch}\n",
        ("spec.fineTune.deepspeed", "nvmePath wants ZeRO 3 and something to offload, and zeroStage is 2; leave nvmePath out"),
    ),
    Bad(
        "an adapter that vLLM cannot load",
        TUNED + "    adapter: {weightDecomposed: true}\n  serving: {}\n",
        ("spec", "set fineTune.merge to true, or serving.engine to transformers"),
    ),
    Bad(
        "a pattern that is none",
        TUNED + "    adapter: {targetPattern: '(q_proj'}\n",
        ("spec.fineTune.adapter", "(q_proj"),
        ("missing closing )",),
    ),
    Bad(
        "bounds in disorder",
        MODEL + "  serving: {replicas: {min: 3}}\n",
        ("spec.serving.replicas", "min 3 is above max 1; lower min or raise max"),
    ),
    Bad(
        "a gate without comparison",
        SUITES + "    gate: [{metric: t.a}]\n",
        (
            "spec.evaluation.gate[0]",
            "gate on 't.a' has no comparison; give exactly one of atLeast, atMost, notWorseThan, betterThan",
        ),
    ),
    Bad(
        "a gate with two comparisons",
        SUITES + "    gate: [{metric: t.a, atLeast: 0, atMost: 1}]\n",
        ("spec.evaluation.gate[0]", "gate on 't.a' has", "atLeast, atMost", "give exactly one of"),
    ),
    Bad(
        "a gate on a suite that is not there",
        SUITES + "    gate: [{metric: u.a, atLeast: 1}]\n",
        ("spec.evaluation", "gate metric 'u.a' names no suite; write SUITE.METRIC with one of ["),
    ),
    Bad(
        "an evaluation's gate on a suite that is not there",
        ASKED + "  gate: [{metric: u.a, atLeast: 1}]\n",
        ("gate metric 'u.a' names no suite; write SUITE.METRIC with one of [",),
    ),
    Bad(
        "two suites of one name",
        SUITES.replace("}]\n", "}, {name: t, uri: u.jsonl}]\n"),
        ("spec.evaluation", "suite 't' is given 2 times; give each suite a name of its own"),
    ),
    Bad(
        "a base against itself",
        SUITES + "    gate: [{metric: t.a, betterThan: base}]\n",
        ("spec", "gate on 't.a' compares with the base, but there is no fineTune; use atLeast"),
    ),
    Bad(
        "an overlap that is too large",
        DOCS + "  chunking: {maxTokens: 100, overlapTokens: 90}\n",
        ("spec.chunking", "overlapTokens 90 is more than half of maxTokens 100; set it to at most 50"),
    ),
    # Rollouts
    Bad("a rollout without steps", ROLLOUT + "{steps: []}\n", ("spec.serving.rollout.steps",), ("should have at least 1 items",)),
    Bad("a step of all requests", ROLLOUT + "{steps: [10, 100]}\n", ("spec.serving.rollout.steps[1]", "100", "99")),
    Bad("steps in disorder", ROLLOUT + "{steps: [50, 10]}\n", ("spec.serving.rollout", "ascending order")),
    Bad("a step twice", ROLLOUT + "{steps: [10, 10]}\n", ("spec.serving.rollout", "ascending order")),
    Bad("an interval of nothing", ROLLOUT + "{steps: [10], interval: 0s}\n", ("rollout", "0s is shorter than 1s; write at least 1s")),
    Bad(
        "an error rate that is never reached",
        ROLLOUT + "{steps: [10], abortIf: [{metric: error_rate, above: 5}]}\n",
        ("spec.serving.rollout.abortIf[0]", "error_rate never goes above 5; write a share of the requests, such as 0.01 for 1 %"),
    ),
    Bad(
        "a latency that is not measured",
        ROLLOUT + "{steps: [10], abortIf: [{metric: p95_latency_seconds, above: 500}]}\n",
        ("abortIf[0]", "p95_latency_seconds is not measured above 120 s; write less than 120 instead of 500"),
    ),
    Bad(
        "two rules on one metric",
        ROLLOUT + "{steps: [10], abortIf: [{metric: error_rate, above: 0.1}, {metric: error_rate, above: 0.2}]}\n",
        ("error_rate has 2 rules; keep the one with the lowest `above`",),
    ),
    Bad(
        "an online gate on a suite that is not asked",
        ROLLOUT + "{steps: [10], evaluation: {suites: [{name: t, uri: t.jsonl}], gate: [{metric: u.a, atLeast: 1}]}}\n",
        ("spec.serving.rollout.evaluation", "gate metric 'u.a' names no suite; write SUITE.METRIC with one of ["),
    ),
    Bad(
        "a metric that no gateway counts",
        ROLLOUT + "{steps: [10], abortIf: [{metric: happiness, above: 0.1}]}\n",
        ("spec.serving.rollout.abortIf[0].metric", "happiness", "error_rate"),
    ),
    # Schedules
    Bad("a time of four fields", SCHEDULED + "{cron: 0 6 * *}\n", ("spec.schedule.cron", "'0 6 * *'", FIELDS, "*/15 * * * *")),
    Bad("a time of six fields", SCHEDULED + "{cron: 0 0 6 * * *}\n", ("spec.schedule.cron", "'0 0 6 * * *'", FIELDS)),
    Bad("a time in words", SCHEDULED + "{cron: every day}\n", ("spec.schedule.cron", "'every day'", FIELDS, "@daily")),
    Bad("the sixtieth minute", SCHEDULED + "{cron: 60 * * * *}\n", ("spec.schedule.cron", "'60 * * * *'", FIELDS)),
    Bad("the eighth day of the week", DOCS + "  refresh: {cron: 0 6 * * 8}\n", ("spec.refresh.cron", "'0 6 * * 8'", FIELDS)),
    Bad("a step of nought", DOCS + "  refresh: {cron: '*/0 * * * *'}\n", ("spec.refresh.cron", "'*/0 * * * *'", FIELDS)),
    Bad("hours over midnight", SCHEDULED + "{cron: 0 22-2 * * *}\n", ("spec.schedule", "22-2 runs backwards; write two parts, such as")),
    Bad("a range over the weekend", SCHEDULED + "{cron: 0 6 * * Fri-Mon}\n", ("spec.schedule", "Fri-Mon runs backwards; write two parts")),
    Bad(
        "the 31st of February",
        SCHEDULED + "{cron: 0 0 31 2 *}\n",
        ("spec.schedule", "'0 0 31 2 *' never comes; choose a day that one of its months has"),
    ),
    Bad(
        "the 31st of shorter months",
        DOCS + "  refresh: {cron: '0 0 31 APR,Jun *'}\n",
        ("spec.refresh", "'0 0 31 APR,Jun *' never comes; choose a day"),
    ),
    Bad("no time", SCHEDULED + "{timeZone: UTC}\n", ("spec.schedule.cron",), ("Required value",)),
    Bad(
        "a zone of another planet",
        SCHEDULED + "{cron: '@daily', timeZone: Mars/Olympus}\n",
        ("spec.schedule", "unknown time zone Mars/Olympus"),
    ),
    Bad("a zone that differs by machine", SCHEDULED + "{cron: '@daily', timeZone: Local}\n", ("unknown time zone Local", "Europe/Berlin")),
    Bad("an offset", SCHEDULED + "{cron: '@daily', timeZone: '+02:00'}\n", ("spec.schedule.timeZone", "'+02:00'", "IANA name such as")),
    Bad("a mistyped choice to retrain", MODEL + "  retrain: always\n", ("spec.retrain", "always", "never", "on-change")),
)
