import numpy as np
import pytest
from scipy.stats import bootstrap

from modelyard.evaluation.statistics import Interval, mean_interval

SHARES = [0.0, 0.25, 1.0, 1.0, 0.5, 0.75, 1.0, 0.0, 0.25, 0.5]


def test_the_interval_is_the_percentile_bootstrap_of_scipy() -> None:
    drawn = bootstrap((SHARES,), np.mean, n_resamples=9999, confidence_level=0.95, method="percentile", rng=np.random.default_rng(0))
    interval = mean_interval(SHARES)
    assert interval.mean == pytest.approx(np.mean(SHARES))
    assert (interval.low, interval.high) == pytest.approx((drawn.confidence_interval.low, drawn.confidence_interval.high))


def test_the_interval_is_that_of_resampling_by_hand() -> None:
    rng = np.random.default_rng(7)
    means = rng.choice(SHARES, size=(20_000, len(SHARES))).mean(axis=1)
    interval = mean_interval(SHARES)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.03)


@pytest.mark.parametrize(
    ("values", "interval"),
    [
        pytest.param([0.5], Interval(0.5, 0.5, 0.5), id="one row"),
        pytest.param([1.0] * 40, Interval(1.0, 1.0, 1.0), id="all right"),
        pytest.param([0.0] * 40, Interval(0.0, 0.0, 0.0), id="all wrong"),
        pytest.param([0.1] * 3, Interval(0.1, 0.1, 0.1), id="all equal, without a rounding error in the mean"),
    ],
)
def test_no_spread(values: list[float], interval: Interval) -> None:
    assert mean_interval(values) == interval


def test_the_same_rows_give_the_same_interval() -> None:
    assert mean_interval(SHARES) == mean_interval(list(SHARES))


def test_many_rows_do_not_need_many_gigabytes() -> None:
    interval = mean_interval([0.0, 1.0] * 5_000)
    assert interval.low == pytest.approx(0.49, abs=0.005)
    assert interval.high == pytest.approx(0.51, abs=0.005)


def test_no_rows_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no rows"):
        mean_interval([])
