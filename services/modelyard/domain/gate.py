"""Judge a version by its scores: does it clear every bar of a gate? Pure: no I/O, no clock.

Every metric of this project is better when it is higher, so "worse" means lower.
"""

from collections.abc import Mapping, Sequence

from modelyard.domain.evaluation import Check, Gate, Score, Verdict

TOLERANCE = 1e-9
"""0.7 - 0.65 is a little less than 0.05 in binary; a bar is not missed by that."""

OWNERS = {"base": "base's", "active": "active version's"}

Scores = Mapping[str, Score]


def judge(gates: Sequence[Gate], candidate: Sequence[Score], *, base: Sequence[Score] | None, active: Sequence[Score] | None) -> Verdict:
    """Check every bar of a gate, so that people see all that is missed and not only the first.

    base: scores of the untuned base; None where it was not scored, which fails a bar that needs it.
    active: scores of the version in service; None where there is none. A bar set by the active version
    passes when there is no such figure yet: neither the first version nor the first run of a new suite has one.
    """
    scores = _by_metric(candidate)
    references = {"base": None if base is None else _by_metric(base), "active": None if active is None else _by_metric(active)}
    checks = [_check(gate, scores, references) for gate in gates]
    return Verdict(passed=all(check.passed for check in checks), checks=checks)


def _by_metric(scores: Sequence[Score]) -> Scores:
    return {score.metric: score for score in scores}


def _check(gate: Gate, scores: Scores, references: Mapping[str, Scores | None]) -> Check:
    score = scores.get(gate.metric)
    if score is None:
        reason = f"there is no {gate.metric}; the metrics are {', '.join(scores) or 'none'}"
        return Check(metric=gate.metric, bar=_bar(gate), passed=False, reason=reason)
    passed, reason = _compare(gate, score, references)
    return Check(metric=gate.metric, bar=_bar(gate), value=score.value, passed=passed, reason=reason)


def _compare(gate: Gate, score: Score, references: Mapping[str, Scores | None]) -> tuple[bool, str]:
    """Whether a score clears its bar, and the sentence that says so."""
    who = gate.not_worse_than or gate.better_than
    if who is None:
        passed = _clears_figure(gate, score.value)
        return passed, f"{_shown(score)} {'is' if passed else 'misses'} {_bar(gate)}"
    known = references[who]
    reference = known.get(gate.metric) if known is not None else None
    if reference is None:
        return _without_reference(who, score, known)
    passed = _clears_reference(gate, score.value, reference.value)
    if gate.not_worse_than:
        relation, margin = "is not worse than" if passed else "is worse than", " by more than"
    else:
        relation, margin = "is better than" if passed else "is not better than", " by"
    by = f"{margin} {_figure(gate.margin)}" if gate.margin else ""
    return passed, f"{_shown(score)} {relation} the {OWNERS[who]} {_range(reference)}{by}"


def _without_reference(who: str, score: Score, known: Scores | None) -> tuple[bool, str]:
    if who == "active":
        missing = "there is no active version" if known is None else f"the active version has no {score.metric}"
        return True, f"{_shown(score)} has nothing to be compared with: {missing}"
    missing = (
        "the base was not scored" if known is None else f"the base has no {score.metric}, its metrics are {', '.join(known) or 'none'}"
    )
    return False, f"{_shown(score)} cannot be compared: {missing}"


def _clears_figure(gate: Gate, value: float) -> bool:
    if gate.at_least is not None:
        return value >= gate.at_least - TOLERANCE
    assert gate.at_most is not None
    return value <= gate.at_most + TOLERANCE


def _clears_reference(gate: Gate, value: float, reference: float) -> bool:
    if gate.not_worse_than:
        return value >= reference - gate.margin - TOLERANCE
    return value >= reference + gate.margin - TOLERANCE if gate.margin else value > reference + TOLERANCE


def _bar(gate: Gate) -> str:
    if gate.at_least is not None:
        return f"at least {_figure(gate.at_least)}"
    if gate.at_most is not None:
        return f"at most {_figure(gate.at_most)}"
    if gate.not_worse_than:
        return f"not worse than {gate.not_worse_than}" + (f" by more than {_figure(gate.margin)}" if gate.margin else "")
    return f"better than {gate.better_than}" + (f" by {_figure(gate.margin)}" if gate.margin else "")


def _shown(score: Score) -> str:
    return f"{score.metric} {_range(score)}"


def _range(score: Score) -> str:
    return f"{_figure(score.value)} ({_figure(score.low)} to {_figure(score.high)})"


def _figure(value: float) -> str:
    return f"{value:.4g}"
