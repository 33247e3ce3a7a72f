"""The cross-field rules of the pydantic specs, said again in CEL for the API server. One table; knows no schema.

`tests/operator/test_crds.py` holds that every pydantic validator has its rule here.
"""

from collections.abc import Mapping, Sequence

from modelyard.domain.figures import BOUNDS_S
from modelyard.operator.structural import Rule

LONGEST_S = f"{BOUNDS_S[-1]:.1f}"

NO_SUITE = "!self.suites.exists(s, s.name == g.metric.split('.')[0])"
TWICE = "self.suites.filter(t, t.name == s.name).size()"

SUITE_RULES = (
    Rule(
        rule="self.suites.all(s, self.suites.exists_one(t, t.name == s.name))",
        message=(
            f'self.suites.filter(s, {TWICE} > 1).map(s, "suite \'" + s.name + "\' is given " + string({TWICE})'
            ' + " times; give each suite a name of its own")[0]'
        ),
        validator="_gate_fits",
    ),
    Rule(
        rule="self.gate.all(g, self.suites.exists(s, s.name == g.metric.split('.')[0]))",
        message=(
            f'"gate metric \'" + self.gate.filter(g, {NO_SUITE})[0].metric'
            ' + "\' names no suite; write SUITE.METRIC with one of [\'" + self.suites.map(s, s.name).join("\', \'") + "\']"'
        ),
        validator="_gate_fits",
    ),
)

COMPARISONS = (
    '[has(self.atLeast) ? "atLeast" : "", has(self.atMost) ? "atMost" : "", has(self.notWorseThan) ? "notWorseThan" : "", '
    'has(self.betterThan) ? "betterThan" : ""].filter(c, c != "")'
)

PER_PASS = "(self.hyperparameters.microBatchSize * self.workers.count)"
BATCH = "self.hyperparameters.batchSize"

RULES: Mapping[str, Sequence[Rule]] = {
    "FineTune": (
        Rule(
            # A factor below 1 is refused by its own bound; dividing by it would add a second complaint.
            rule=f"{PER_PASS} < 1 || {BATCH} % {PER_PASS} == 0",
            message=(
                f'"batchSize " + string({BATCH}) + " is not a multiple of microBatchSize × workers.count = " + string({PER_PASS})'
                f' + "; set batchSize to " + string({BATCH} < {PER_PASS} ? {PER_PASS} : {BATCH} / {PER_PASS} * {PER_PASS})'
            ),
            validator="_batch_divides",
        ),
    ),
    "Replicas": (
        Rule(
            rule="self.min <= self.max",
            message='"min " + string(self.min) + " is above max " + string(self.max) + "; lower min or raise max"',
            validator="_ordered",
        ),
    ),
    "Gate": (
        Rule(
            rule=f"{COMPARISONS}.size() == 1",
            message=(
                f'"gate on \'" + self.metric + "\' has " + ({COMPARISONS}.size() == 0 ? "no comparison" : {COMPARISONS}.join(", "))'
                ' + "; give exactly one of atLeast, atMost, notWorseThan, betterThan"'
            ),
            validator="_one_comparison",
        ),
    ),
    "ModelEvaluation": SUITE_RULES,
    "EvaluationSpec": SUITE_RULES,
    "ModelSpec": (
        Rule(
            rule=(
                "has(self.fineTune) || !has(self.evaluation) || self.evaluation.gate.all(g, !has(g.betterThan) || g.betterThan != 'base')"
            ),
            message=(
                "\"gate on '\" + self.evaluation.gate.filter(g, has(g.betterThan) && g.betterThan == 'base')[0].metric"
                ' + "\' compares with the base, but there is no fineTune; use atLeast"'
            ),
            validator="_base_is_not_its_own_bar",
        ),
    ),
    "ModelVersionSpec": (
        Rule(
            rule="self == oldSelf",
            message='"the spec of a ModelVersion never changes; change its Model, and the operator makes another version"',
        ),
    ),
    "Chunking": (
        Rule(
            rule="self.overlapTokens <= self.maxTokens / 2",
            message=(
                '"overlapTokens " + string(self.overlapTokens) + " is more than half of maxTokens " + string(self.maxTokens)'
                ' + "; set it to at most " + string(self.maxTokens / 2)'
            ),
            validator="_overlap_is_smaller",
        ),
    ),
    "AbortRule": (
        Rule(
            rule="self.metric != 'error_rate' || self.above < 1.0",
            message=('"error_rate never goes above " + string(self.above) + "; write a share of the requests, such as 0.01 for 1 %"'),
            validator="_can_be_broken",
        ),
        Rule(
            rule=f"self.metric == 'error_rate' || self.above < {LONGEST_S}",
            message=(
                f'self.metric + " is not measured above " + string({LONGEST_S}) + " s; write less than " + string({LONGEST_S})'
                ' + " instead of " + string(self.above)'
            ),
            validator="_can_be_broken",
        ),
    ),
    "Rollout": (
        Rule(
            rule="self.steps.all(a, self.steps.exists_one(b, a == b)) && self.steps.isSorted()",
            message='"the percentages are not in ascending order; write them so, each once"',
            validator="_ascending",
        ),
        Rule(
            # `duration` knows no days; a text that is no time span at all is refused by its pattern.
            rule=(
                "!self.interval.matches('^([0-9]+([.][0-9]+)?[dhms])+$') || (self.interval.contains('d')"
                " ? self.interval.matches('[1-9]') : duration(self.interval) >= duration('1s'))"
            ),
            message='self.interval + " is shorter than 1s; write at least 1s"',
            validator="_long_enough",
        ),
        Rule(
            rule="self.abortIf.all(a, self.abortIf.exists_one(b, a.metric == b.metric))",
            message=(
                "self.abortIf.filter(a, self.abortIf.filter(b, a.metric == b.metric).size() > 1).map(a, a.metric"
                ' + " has " + string(self.abortIf.filter(b, a.metric == b.metric).size())'
                ' + " rules; keep the one with the lowest `above`")[0]'
            ),
            validator="_one_rule_a_metric",
        ),
    ),
}
"""Name of a pydantic class → the rules of every object of it."""

NAME_RULES = (
    Rule(
        # The API server itself allows the characters of a DNS name, up to 253 of them.
        rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
        message=(
            '"metadata.name is \'" + self.metadata.name + "\', " + string(self.metadata.name.size())'
            ' + " characters; give lower-case letters, digits and `-`, at most 63 characters"'
        ),
    ),
)
"""At the root of every kind: names become labels, versions and served names."""
