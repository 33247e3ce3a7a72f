import pytest

from modelyard.domain.errors import CapacityError
from modelyard.domain.fine_tune import Workers
from modelyard.training.cluster import require_room, threads_per_worker


def test_workers_that_fit_are_let_through() -> None:
    require_room(Workers(count=2), {"CPU": 2.0, "memory": 1e9})


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        pytest.param(Workers(count=3), "3 workers with 1 CPU each need 3 CPU and the Ray cluster has 2; lower workers.count", id="cores"),
        pytest.param(
            Workers(count=1, resources={"CPU": 1, "GPU": 1}),
            "1 workers with 1 GPU each need 1 GPU and the Ray cluster has 0; lower workers.count or workers.resources, or add nodes",
            id="no GPU",
        ),
    ],
)
def test_workers_that_do_not_fit_are_refused_with_both_numbers(workers: Workers, message: str) -> None:
    with pytest.raises(CapacityError, match=message):
        require_room(workers, {"CPU": 2.0})


@pytest.mark.parametrize(
    ("count", "cores", "threads"),
    [
        pytest.param(2, 2.0, 1, id="a core each"),
        pytest.param(1, 16.0, 16, id="one has all"),
        pytest.param(3, 8.0, 2, id="rounded down"),
        pytest.param(4, 2.0, 1, id="never none"),
    ],
)
def test_cores_are_shared_out(count: int, cores: float, threads: int) -> None:
    assert threads_per_worker(Workers(count=count), {"CPU": cores}) == threads
