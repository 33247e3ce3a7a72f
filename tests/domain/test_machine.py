from typing import Any

import pytest

from modelyard.domain.fine_tune import Workers
from modelyard.domain.machine import Machine, Machines, workers_on

CPU = Machine(24, {"CPU": 8})
EIGHT_GPUS = Machine(640, {"CPU": 64, "GPU": 8})


@pytest.mark.parametrize(
    ("machine", "workers", "share"),
    [
        pytest.param(CPU, {"count": 1}, 24, id="alone on a machine, however many would fit"),
        pytest.param(CPU, {"count": 3}, 8, id="three on a machine for eight share it"),
        pytest.param(CPU, {"count": 5, "resources": {"CPU": 4}}, 12, id="two on each of three machines"),
        pytest.param(CPU, {"count": 2, "resources": {"CPU": 0}}, 12, id="workers that reserve nothing are together"),
        pytest.param(CPU, {"resources": {"CPU": 9}}, None, id="a worker that fits on none"),
        pytest.param(EIGHT_GPUS, {"resources": {"GPU": 1}}, 80, id="one accelerator of eight, also for one alone"),
        pytest.param(EIGHT_GPUS, {"resources": {"GPU": 0.5}, "count": 2}, 40, id="half an accelerator"),
        pytest.param(EIGHT_GPUS, {"resources": {"GPU": 8}}, 80, id="eight accelerators, of which a worker computes on one"),
        pytest.param(EIGHT_GPUS, {"resources": {"CPU": 1}}, None, id="without an accelerator where there are some: the pod's memory"),
        pytest.param(CPU, {"resources": {"GPU": 1}}, None, id="an accelerator where there is none"),
    ],
)
def test_a_worker_has_its_share_of_the_memory(machine: Machine, workers: dict[str, Any], share: float | None) -> None:
    assert machine.share_gib(Workers.model_validate(workers)) == share


def test_workers_are_packed_by_what_is_scarcest() -> None:
    assert workers_on({"CPU": 64, "GPU": 8, "special": 1}, Workers(count=9, resources={"CPU": 4, "GPU": 1, "special": 0.5})) == 2


@pytest.mark.parametrize(
    ("machines", "profile", "name"),
    [
        pytest.param(Machines({"small": CPU, "gpu": EIGHT_GPUS}, "small"), None, "small", id="the default"),
        pytest.param(Machines({"small": CPU, "gpu": EIGHT_GPUS}, "small"), "gpu", "gpu", id="a profile by name"),
        pytest.param(Machines({"small": CPU}, "small"), "large", None, id="a profile that there is not"),
        pytest.param(Machines({"": CPU}), "large", "", id="a laptop is what every profile means"),
        pytest.param(Machines(), None, None, id="nothing is known"),
    ],
)
def test_a_profile_means_a_kind_of_machine(machines: Machines, profile: str | None, name: str | None) -> None:
    assert machines.name_of(profile) == name
