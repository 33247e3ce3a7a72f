import pytest

from modelyard.operator.quota import Excess, Quota, count_job, find_excess, parse_quantity, read_quotas


@pytest.mark.parametrize(
    ("text", "amount"),
    [("500m", 0.5), ("4", 4), ("1.5", 1.5), ("16Gi", 16 * 2**30), ("1M", 1e6), ("1e3", 1000), ("2E", 2e18), ("0", 0)],
)
def test_a_quantity_is_a_number(text: str, amount: float) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize("text", ["", "many", "4 Gi", "4gi", "-1"])
def test_what_is_no_quantity_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no Kubernetes quantity"):
        parse_quantity(text)


def group(limits: dict[str, str], requests: dict[str, str]) -> dict[str, object]:
    return {"template": {"spec": {"containers": [{"resources": {"limits": limits, "requests": requests}}]}}}


def test_a_job_asks_for_what_all_its_pods_do() -> None:
    workers = group({"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "1"}, {"cpu": "4"}) | {"replicas": 3}
    cluster = {"headGroupSpec": group({"cpu": "500m"}, {"cpu": "500m"}), "workerGroupSpecs": [workers]}
    assert count_job({"spec": {"rayClusterSpec": cluster}}) == {
        "requests.cpu": 12.5,
        "cpu": 12.5,
        "limits.cpu": 24.5,
        "requests.memory": 192 * 2**30,
        "memory": 192 * 2**30,
        "limits.memory": 192 * 2**30,
        "requests.nvidia.com/gpu": 3,
        "limits.nvidia.com/gpu": 3,
        "pods": 4,
    }


QUOTA = Quota("team", hard={"requests.cpu": 8, "limits.memory": 32 * 2**30, "count/jobs.batch": 1}, used={"requests.cpu": 6})


@pytest.mark.parametrize(
    ("wanted", "beside_others", "expected"),
    [
        pytest.param({"requests.cpu": 8}, False, None, id="just as much as there may be"),
        pytest.param({"requests.cpu": 8.5}, False, Excess("team", "requests.cpu", 8.5, 8), id="more than there may be"),
        pytest.param({"requests.cpu": 2.5}, True, Excess("team", "requests.cpu", 2.5, 2), id="more than is left"),
        pytest.param({"requests.cpu": 2}, True, None, id="just what is left"),
        pytest.param({"requests.nvidia.com/gpu": 8}, False, None, id="what the quota does not name"),
    ],
)
def test_what_is_too_much_is_found(wanted: dict[str, float], beside_others: bool, expected: Excess | None) -> None:
    assert find_excess(wanted, [QUOTA], beside_others=beside_others) == expected


def test_more_is_in_use_than_allowed_when_a_quota_was_lowered() -> None:
    assert find_excess({"cpu": 1}, [Quota("team", {"cpu": 2}, {"cpu": 3})], beside_others=True) == Excess("team", "cpu", 1, 0)


def test_sums_of_fractions_are_no_excess() -> None:
    assert find_excess({"cpu": 0.1 + 0.2}, [Quota("team", {"cpu": 0.3}, {})]) is None


@pytest.mark.parametrize(
    ("excess", "words"),
    [
        (Excess("team", "requests.cpu", 12.5, 8), "12.5 requests.cpu and ResourceQuota team allows 8"),
        (Excess("team", "limits.memory", 48 * 2**30, 1.5 * 2**30), "48Gi limits.memory and ResourceQuota team allows 1.5Gi"),
        (Excess("team", "memory", 2.0**50, 0), "1024Ti memory and ResourceQuota team allows 0"),
        (Excess("team", "requests.nvidia.com/gpu", 16, 4), "16 requests.nvidia.com/gpu and ResourceQuota team allows 4"),
    ],
)
def test_an_excess_is_told_in_the_units_of_its_resource(excess: Excess, words: str) -> None:
    assert str(excess) == words


def test_quotas_with_scopes_are_left_out() -> None:
    plain = {
        "metadata": {"name": "team"},
        "spec": {"hard": {"cpu": "4", "pods": "10"}},
        "status": {"hard": {"cpu": "4"}, "used": {"cpu": "500m", "pods": "2"}},
    }
    scoped = [
        {"metadata": {"name": "a"}, "spec": {"hard": {"cpu": "1"}, "scopes": ["BestEffort"]}},
        {"metadata": {"name": "b"}, "spec": {"hard": {"cpu": "1"}, "scopeSelector": {"matchExpressions": []}}},
    ]
    empty = {"metadata": {"name": "new"}, "spec": {}}
    assert read_quotas([plain, *scoped, empty]) == [Quota("team", {"cpu": 4, "pods": 10}, {"cpu": 0.5, "pods": 2}), Quota("new", {}, {})]
