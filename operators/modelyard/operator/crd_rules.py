"""The cross-field rules of the pydantic specs, said again in CEL for the API server. One table; knows no schema.

`tests/operator/test_crds.py` holds that every pydantic validator has its rule here.
"""

from collections.abc import Mapping, Sequence

from modelyard.domain.figures import BOUNDS_S
from modelyard.domain.schedule import BACKWARDS_REMEDY, MONTHS, NEVER_PATTERN, NEVER_REMEDY, WEEKDAYS, ZONE_REMEDY
from modelyard.operator.structural import Rule

LONGEST_S = f"{BOUNDS_S[-1]:.1f}"

BATCH = "self.hyperparameters.batchSize"
PER_PASS = "(self.hyperparameters.microBatchSize * self.workers.count)"

COMPARISONS = (
    "[has(self.atLeast) ? 'atLeast' : '', has(self.atMost) ? 'atMost' : '', has(self.notWorseThan) ? 'notWorseThan' : '',"
    " has(self.betterThan) ? 'betterThan' : ''].filter(c, c != '')"
)

ITS_SUITE_IS_THERE = "self.suites.exists(s, s.name == g.metric.split('.')[0])"
SUITES_OF_TWICE = "self.suites.filter(s, self.suites.filter(t, t.name == s.name).size() > 1)"
BARS_ON_BASE = "self.evaluation.gate.filter(g, has(g.betterThan) && g.betterThan == 'base')"
RULES_OF_TWICE = "self.abortIf.filter(a, self.abortIf.filter(b, b.metric == a.metric).size() > 1)"

NAMES_IN_ORDER = f"'{' '.join((*MONTHS, *WEEKDAYS))}'"
FROM, TO = (f"p.split('/')[0].split('-')[{end}]" for end in (0, 1))
BACKWARDS = (
    "self.cron.replace(' ', ',').split(',').filter(p,"
    f" p.matches('^[0-9]{{1,4}}-[0-9]{{1,4}}(/|$)') ? int({FROM}) > int({TO}) : p.matches('^[A-Za-z]+-[A-Za-z]+(/|$)')"
    f" && {NAMES_IN_ORDER}.indexOf({FROM}.upperAscii()) > {NAMES_IN_ORDER}.indexOf({TO}.upperAscii()))"
)
"""The ranges of a cron text that end before they begin."""

SUITE_RULES = (
    Rule(
        rule="self.suites.all(s, self.suites.exists_one(t, t.name == s.name))",
        text="suite '{}' is given {} times; give each suite a name of its own",
        values=(f"{SUITES_OF_TWICE}[0].name", f"self.suites.filter(s, s.name == {SUITES_OF_TWICE}[0].name).size()"),
        validator="_gate_fits",
    ),
    Rule(
        rule=f"self.gate.all(g, {ITS_SUITE_IS_THERE})",
        text="gate metric '{}' names no suite; write SUITE.METRIC with one of {}",
        values=(f"self.gate.filter(g, !{ITS_SUITE_IS_THERE})[0].metric", "self.suites.map(s, s.name)"),
        validator="_gate_fits",
    ),
)

RULES: Mapping[str, Sequence[Rule]] = {
    "Adapter": (
        Rule(
            # Trying a text that is no regular expression is an error, and an error is a refusal that quotes it.
            rule="''.matches(self.targetPattern) in [true, false]",
            text="targetPattern is no regular expression; mend it, or list names in targetModules",
            validator="_pattern_compiles",
        ),
    ),
    "DeepSpeed": (
        Rule(
            rule="self.offload != 'optimizer' || self.zeroStage != 0",
            text="offload optimizer wants sharded optimizer state; set zeroStage to 2, or offload to none",
            validator="_offload_is_sharded",
        ),
        Rule(
            rule="self.offload != 'parameters' || self.zeroStage == 3",
            text="offload parameters wants ZeRO 3, and zeroStage is {}; set zeroStage to 3",
            values=("self.zeroStage",),
            validator="_offload_is_sharded",
        ),
        Rule(
            rule="self.nvmePath == '' || (self.offload != 'none' && self.zeroStage == 3)",
            text="nvmePath wants ZeRO 3 and something to offload, and zeroStage is {}; leave nvmePath out",
            values=("self.zeroStage",),
            validator="_offload_is_sharded",
        ),
    ),
    "FineTune": (
        Rule(
            rule="self.quantization.type == 'none' || self.adapter.type != 'none'",
            text=(
                "quantization {} holds weights that cannot be trained, and adapter.type is none; set adapter.type to lora,"
                " or quantization.type to none"
            ),
            values=("self.quantization.type",),
            validator="_quantization_fits",
        ),
        Rule(
            rule="self.quantization.type == 'none' || self.deepspeed.zeroStage != 3",
            text="ZeRO 3 cannot shard weights in {}; set deepspeed.zeroStage to 2",
            values=("self.quantization.type",),
            validator="_quantization_fits",
        ),
        Rule(
            rule="self.kernels != 'liger' || ('GPU' in self.workers.resources && self.workers.resources['GPU'] > 0.0)",
            text="kernels liger wants workers with a GPU; set workers.resources.GPU to 1, or kernels to plain",
            validator="_kernels_have_a_gpu",
        ),
        Rule(
            rule=(
                "self.dataset.validationSplit > 0.0 || (self.hyperparameters.keep != 'best' && !has(self.hyperparameters.earlyStopping))"
            ),
            text="hyperparameters.{} needs a validation loss, and dataset.validationSplit is 0; set it to 0.1, say",
            values=("self.hyperparameters.keep == 'best' ? 'keep: best' : 'earlyStopping'",),
            validator="_measures_what_it_needs",
        ),
        Rule(
            # A factor below 1 is refused by its own bound; dividing by it would add a second complaint.
            rule=f"{PER_PASS} < 1 || {BATCH} % {PER_PASS} == 0",
            text="batchSize {} is not a multiple of microBatchSize × workers.count = {}; set batchSize to {}",
            values=(BATCH, PER_PASS, f"{BATCH} < {PER_PASS} ? {PER_PASS} : {BATCH} / {PER_PASS} * {PER_PASS}"),
            validator="_batch_divides",
        ),
    ),
    "Replicas": (
        Rule(
            rule="self.min <= self.max",
            text="min {} is above max {}; lower min or raise max",
            values=("self.min", "self.max"),
            validator="_ordered",
        ),
    ),
    "Gate": (
        Rule(
            rule=f"{COMPARISONS}.size() == 1",
            text="gate on '{}' has {}; give exactly one of atLeast, atMost, notWorseThan, betterThan",
            values=("self.metric", f"{COMPARISONS}.size() == 0 ? dyn('no comparison') : dyn({COMPARISONS})"),
            validator="_one_comparison",
        ),
    ),
    "ModelEvaluation": SUITE_RULES,
    "EvaluationSpec": SUITE_RULES,
    "OnlineEvaluation": SUITE_RULES,
    "ModelSpec": (
        Rule(
            rule=f"has(self.fineTune) || !has(self.evaluation) || {BARS_ON_BASE}.size() == 0",
            text="gate on '{}' compares with the base, but there is no fineTune; use atLeast",
            values=(f"{BARS_ON_BASE}[0].metric",),
            validator="_base_is_not_its_own_bar",
        ),
        Rule(
            rule=(
                "!has(self.fineTune) || !has(self.serving) || self.serving.engine == 'transformers' || self.fineTune.merge"
                " || self.fineTune.adapter.type != 'lora'"
                " || !(self.fineTune.adapter.weightDecomposed || self.fineTune.adapter.modulesToSave.size() > 0)"
            ),
            text=(
                "vLLM loads no adapter with weightDecomposed or modulesToSave; set fineTune.merge to true,"
                " or serving.engine to transformers"
            ),
            validator="_engine_loads_the_adapter",
        ),
    ),
    "ModelVersionSpec": (
        Rule(
            rule="self == oldSelf",
            text="the spec of a ModelVersion never changes; change its Model, and the operator makes another version",
        ),
    ),
    "Chunking": (
        Rule(
            rule="self.overlapTokens <= self.maxTokens / 2",
            text="overlapTokens {} is more than half of maxTokens {}; set it to at most {}",
            values=("self.overlapTokens", "self.maxTokens", "self.maxTokens / 2"),
            validator="_overlap_is_smaller",
        ),
    ),
    "AbortRule": (
        Rule(
            rule="self.metric != 'error_rate' || self.above < 1.0",
            text="error_rate never goes above {}; write a share of the requests, such as 0.01 for 1 %",
            values=("self.above",),
            validator="_can_be_broken",
        ),
        Rule(
            rule=f"self.metric == 'error_rate' || self.above < {LONGEST_S}",
            text="{} is not measured above {} s; write less than {} instead of {}",
            values=("self.metric", LONGEST_S, LONGEST_S, "self.above"),
            validator="_can_be_broken",
        ),
    ),
    "Rollout": (
        Rule(
            rule="self.steps.isSorted() && self.steps.all(a, self.steps.exists_one(b, a == b))",
            text="{} is not in ascending order; write the percentages so, each once",
            values=("self.steps",),
            validator="_ascending",
        ),
        Rule(
            # `duration` knows no days; a text that is no time span at all is refused by its pattern.
            rule=(
                "!self.interval.matches('^([0-9]+([.][0-9]+)?[dhms])+$') || (self.interval.contains('d')"
                " ? self.interval.matches('[1-9]') : duration(self.interval) >= duration('1s'))"
            ),
            text="{} is shorter than 1s; write at least 1s",
            values=("self.interval",),
            validator="_long_enough",
        ),
        Rule(
            rule="self.abortIf.all(a, self.abortIf.exists_one(b, b.metric == a.metric))",
            text="{} has {} rules; keep the one with the lowest `above`",
            values=(f"{RULES_OF_TWICE}[0].metric", f"self.abortIf.filter(a, a.metric == {RULES_OF_TWICE}[0].metric).size()"),
            validator="_one_rule_a_metric",
        ),
    ),
    "Schedule": (
        Rule(
            rule=f"{BACKWARDS}.size() == 0",
            text=f"{{}} runs backwards; {BACKWARDS_REMEDY}",
            values=(f"{BACKWARDS}[0]",),
            validator="_comes",
        ),
        Rule(
            rule=f"!self.cron.matches('{NEVER_PATTERN}')",
            text=f"'{{}}' never comes; {NEVER_REMEDY}",
            values=("self.cron",),
            validator="_comes",
        ),
        Rule(
            # A zone that it does not know ends the rule with an error, which names the zone.
            rule="self.timeZone != 'Local' && timestamp('2026-01-01T00:00:00Z').getHours(self.timeZone) >= 0",
            text=f"unknown time zone {{}}; {ZONE_REMEDY}",
            values=("self.timeZone",),
            validator="_is_known",
        ),
    ),
}
"""Name of a pydantic class → the rules of every object of it."""

NAME_RULES = (
    Rule(
        # The API server itself sees to the other characters, but allows dots and 253 characters.
        rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
        text="metadata.name is '{}', {} characters; give lower-case letters, digits and `-`, at most 63 characters",
        values=("self.metadata.name", "self.metadata.name.size()"),
    ),
)
"""At the root of every kind: names become labels, versions and served names."""
