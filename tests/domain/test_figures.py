from typing import Any

import pytest

from modelyard.domain.figures import BOUNDS_S, METRICS, VersionFigures, quantile

BUCKETS = len(BOUNDS_S) + 1


def counts(**by_bound: int) -> list[int]:
    """`_0_5=3`: three durations in the bucket that ends at 0.5 s; `above` for what is longer than all."""
    ends = {f"_{bound:g}".replace(".", "_"): position for position, bound in enumerate(BOUNDS_S)} | {"above": BUCKETS - 1}
    filled = [0] * BUCKETS
    for end, count in by_bound.items():
        filled[ends[end]] = count
    return filled


@pytest.mark.parametrize(
    ("durations", "share", "seconds"),
    [
        pytest.param([], 0.5, None, id="nothing was counted"),
        pytest.param([0] * BUCKETS, 0.5, None, id="zeros are nothing either"),
        pytest.param(counts(_0_01=10), 0.5, 0.005, id="interpolated from zero in the first bucket"),
        pytest.param(counts(_0_5=4), 0.5, 0.375, id="interpolated within its bucket"),
        pytest.param(counts(_0_1=90, _5=10), 0.95, 3.75, id="the tail decides a high share"),
        pytest.param(counts(above=1), 0.5, 120.0, id="the longest are told as the last bound"),
    ],
)
def test_quantiles(durations: list[int], share: float, seconds: float | None) -> None:
    assert quantile(durations, share) == (None if seconds is None else pytest.approx(seconds))


def test_figures_of_a_version() -> None:
    seen = VersionFigures(requests=4, errors=1, latency=counts(_0_5=4), ttft=counts(_0_01=2))
    assert seen.figures() == {
        "error_rate": 0.25,
        "p50_latency_seconds": 0.375,
        "p95_latency_seconds": 0.4875,
        "p99_latency_seconds": 0.4975,
        "p50_ttft_seconds": 0.005,
        "p95_ttft_seconds": 0.0095,
        "p99_ttft_seconds": 0.0099,
    }
    assert VersionFigures().figures() == {}
    assert all(VersionFigures().figure(metric) is None for metric in METRICS)


@pytest.mark.parametrize(
    ("later", "earlier", "expected"),
    [
        pytest.param({"requests": 5}, {}, {"requests": 5}, id="since the beginning"),
        pytest.param(
            {"requests": 9, "errors": 2, "latency": [1, 8]},
            {"requests": 4, "errors": 1, "latency": [1, 3]},
            {"requests": 5, "errors": 1, "latency": [0, 5]},
            id="the difference, bucket by bucket",
        ),
        pytest.param({"requests": 3}, {"requests": 4}, None, id="fewer requests: another gateway"),
        pytest.param(
            {"requests": 9, "latency": [0, 9]}, {"requests": 4, "latency": [1, 3]}, None, id="fewer in one bucket: another gateway"
        ),
    ],
)
def test_what_was_counted_after_an_earlier_look(later: Any, earlier: Any, expected: Any) -> None:
    difference = VersionFigures(**later).since(VersionFigures(**earlier))
    assert difference == (None if expected is None else VersionFigures(**expected))
