import pytest

from modelyard.domain.serving import Canary, Route
from modelyard.gateway.canary import choose_version


def route(weight: int, version: str = "bot-2") -> Route:
    canary = Canary(version=version, engine="engine-2", adapter="b", weight=weight)
    return Route(name="bot", engine="engine-1", adapter="a", version="bot-1", canary=canary)


def never() -> float:
    raise AssertionError("a known client is not left to chance")


def versions(weight: int, clients: range, version: str = "bot-2") -> list[str]:
    return [choose_version(route(weight, version), f"user-{client}", never).version for client in clients]


def test_the_canary_brings_its_own_engine_and_adapter() -> None:
    assert choose_version(route(100), "me", never) == Route(name="bot", engine="engine-2", adapter="b", version="bot-2")
    assert choose_version(route(0), "me", never) == Route(name="bot", engine="engine-1", adapter="a", version="bot-1")


def test_a_route_without_a_canary_is_as_it_is() -> None:
    whole = Route(name="bot", engine="engine-1", version="bot-1")
    assert choose_version(whole, "", never) is whole


@pytest.mark.parametrize(
    ("chance", "version"),
    [
        pytest.param(0.0, "bot-2", id="the lowest chance"),
        pytest.param(0.0999, "bot-2", id="within the share"),
        pytest.param(0.1, "bot-1", id="beyond the share"),
        pytest.param(0.9999, "bot-1", id="the highest chance"),
    ],
)
def test_unknown_clients_are_left_to_chance(chance: float, version: str) -> None:
    assert choose_version(route(10), "", lambda: chance).version == version


def test_a_client_stays_with_its_version() -> None:
    assert versions(50, range(50)) == versions(50, range(50))


def test_clients_are_split_by_weight() -> None:
    assert versions(10, range(2000)).count("bot-2") == pytest.approx(200, abs=60)
    assert versions(0, range(200)).count("bot-2") == 0
    assert versions(100, range(200)).count("bot-2") == 200


def test_more_weight_takes_no_client_away_from_the_canary() -> None:
    few, more = versions(10, range(500)), versions(50, range(500))
    assert all(after == "bot-2" for before, after in zip(few, more, strict=True) if before == "bot-2")


def test_each_version_begins_with_other_clients() -> None:
    assert versions(10, range(500)) != [name.replace("bot-3", "bot-2") for name in versions(10, range(500), "bot-3")]
