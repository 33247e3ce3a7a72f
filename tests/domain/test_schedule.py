import itertools
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from modelyard.domain.schedule import ALIASES, MONTHS, NEVER_PATTERN, Schedule, is_due, last_tick, next_tick

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kolkata")


def shown(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("cron", "zone", "now", "last", "following"),
    [
        pytest.param(
            "*/15 * * * *",
            "UTC",
            "2026-01-01T10:20:00Z",
            "2026-01-01T10:15:00Z",
            "2026-01-01T10:30:00Z",
            id="every quarter of an hour",
        ),
        pytest.param("0 6 * * *", "UTC", "2026-01-01T06:00:00Z", "2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z", id="at its very second"),
        pytest.param("0 6 * * *", "UTC", "2026-01-01T05:59:59Z", "2025-12-31T06:00:00Z", "2026-01-01T06:00:00Z", id="one second before"),
        pytest.param(
            "@weekly", "UTC", "2026-01-01T00:00:00Z", "2025-12-28T00:00:00Z", "2026-01-04T00:00:00Z", id="a week begins on Sunday"
        ),
        pytest.param("30 6 * * MON-FRI", "UTC", "2026-01-03T00:00:00Z", "2026-01-02T06:30:00Z", "2026-01-05T06:30:00Z", id="on workdays"),
        pytest.param("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z", id="in leap years"),
        pytest.param(
            "0 0 13 * FRI",
            "UTC",
            "2026-01-05T00:00:00Z",
            "2026-01-02T00:00:00Z",
            "2026-01-09T00:00:00Z",
            id="either day counts, as with cron",
        ),
        pytest.param(
            "0 6 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2025-12-31T00:30:00Z", "2026-01-01T00:30:00Z", id="by clocks elsewhere"
        ),
        pytest.param(
            "0 6 * * *",
            "Europe/Berlin",
            "2026-03-29T12:00:00Z",
            "2026-03-29T04:00:00Z",
            "2026-03-30T04:00:00Z",
            id="in summer the same time of day is an hour earlier",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-29T00:59:59Z",
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            id="a time that is skipped comes right after the gap",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z",
            id="and it came",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T00:10:00Z",
            "2026-10-24T00:30:00Z",
            "2026-10-25T00:30:00Z",
            id="a time that is there twice comes the first time",
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T01:10:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
            id="and not the second time",
        ),
        pytest.param(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-10-25T01:10:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            id="what comes all the time goes on through both hours",
        ),
    ],
)
def test_the_ticks_around_now(cron: str, zone: str, now: str, last: str, following: str) -> None:
    schedule = Schedule(cron=cron, time_zone=zone)
    assert (last_tick(schedule, now), next_tick(schedule, now)) == (last, following)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "15 * * * *", "0 */2 * * *", "@daily"])
@settings(max_examples=40, deadline=None)
@given(minutes=st.integers(0, 366 * 24 * 60))
def test_last_and_next_are_neighbours_in_every_zone_at_any_time(cron: str, zone: str, minutes: int) -> None:
    schedule = Schedule(cron=cron, time_zone=zone)
    now = shown(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
    last, following = last_tick(schedule, now), next_tick(schedule, now)
    assert last <= now < following
    assert next_tick(schedule, last) == following
    assert last_tick(schedule, following) == following


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 1-3 * * *", "15 */2 * * *"])
def test_in_the_nights_when_clocks_are_set_neighbours_stay_neighbours(cron: str, zone: str) -> None:
    schedule, clocks = Schedule(cron=cron, time_zone=zone), ZoneInfo(zone)
    hours = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(365 * 24)]
    changes = [a for a, b in itertools.pairwise(hours) if a.astimezone(clocks).utcoffset() != b.astimezone(clocks).utcoffset()]
    for change in changes:
        for minute in range(-300, 300, 5):
            now = shown(change + timedelta(minutes=minute))
            last, following = last_tick(schedule, now), next_tick(schedule, now)
            assert last <= now < following, now
            # cronsim loses its way where clocks are set by half an hour and the text says every so many hours.
            assert next_tick(schedule, last) == following or (cron, zone) == ("15 */2 * * *", "Australia/Lord_Howe"), now


@pytest.mark.parametrize(
    ("taken", "now", "due"),
    [
        pytest.param("", "2026-01-05T10:00:00Z", True, id="nothing was taken up yet"),
        pytest.param("2026-01-05T06:00:00Z", "2026-01-05T06:00:00Z", False, id="the tick of now was taken"),
        pytest.param("2026-01-05T06:00:00Z", "2026-01-06T05:59:59Z", False, id="until the next one"),
        pytest.param("2026-01-05T06:00:00Z", "2026-01-06T06:00:00Z", True, id="at the next one"),
        pytest.param("2026-01-01T06:00:00Z", "2026-01-09T10:00:00Z", True, id="many were missed"),
        pytest.param("2026-01-05T06:00:00Z", "2026-01-05T05:59:30Z", False, id="a clock that is half a minute ahead took it"),
        pytest.param("2026-01-05T06:00:00Z", "2026-01-04T06:00:00Z", False, id="a clock that is a day ahead took the very next one"),
        pytest.param("2026-01-06T06:00:00Z", "2026-01-04T10:00:00Z", True, id="a clock that was days ahead took one far beyond"),
        pytest.param("2026-01-05T06:00:00Z", "", False, id="no time is known, and none passes"),
    ],
)
def test_what_is_due(taken: str, now: str, due: bool) -> None:
    assert is_due(Schedule(cron="0 6 * * *"), taken, now) is due


def test_however_many_ticks_were_missed_they_are_due_once() -> None:
    schedule = Schedule(cron="*/5 * * * *")
    now = "2026-01-09T10:01:00Z"
    assert is_due(schedule, "2026-01-01T00:00:00Z", now)
    assert not is_due(schedule, last_tick(schedule, now), now)


def test_two_clocks_seconds_apart_take_each_tick_once() -> None:
    schedule = Schedule(cron="0 * * * *")
    taken, times = "2026-01-01T00:00:00Z", []
    for second in range(0, 6 * 3600, 2):
        for ahead in (0, 7):
            now = shown(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second + ahead))
            if is_due(schedule, taken, now):
                taken = last_tick(schedule, now)
                times.append(taken)
    assert times == [f"2026-01-01T{hour:02}:00:00Z" for hour in range(1, 6 + 1)][: len(times)]
    assert len(times) == 6


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "0 0 1-7 * MON",
        "5,35 8-18/2 * JAN-MAR,12 mon-fri",
        "0/15 * * * *",
        "0 0 * * 5-7",
        "00 07 01 01 0",
        "0  6 * * *",
        *ALIASES,
    ],
)
def test_what_can_be_written(cron: str) -> None:
    assert Schedule(cron=cron).cron == cron


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param({"cron": "0 6 * *"}, "pattern", id="four fields"),
        pytest.param({"cron": "0 0 6 * * *"}, "pattern", id="six fields"),
        pytest.param({"cron": "60 * * * *"}, "pattern", id="a minute that there is not"),
        pytest.param({"cron": "0 24 * * *"}, "pattern", id="an hour that there is not"),
        pytest.param({"cron": "0 0 0 * *"}, "pattern", id="a day that there is not"),
        pytest.param({"cron": "0 0 1 13 *"}, "pattern", id="a month that there is not"),
        pytest.param({"cron": "0 0 * * 8"}, "pattern", id="a weekday that there is not"),
        pytest.param({"cron": "0 0 * * FUN"}, "pattern", id="a name that there is not"),
        pytest.param({"cron": "*/0 * * * *"}, "pattern", id="a step of nought"),
        pytest.param({"cron": "0 0 L * *"}, "pattern", id="what a CronJob does not know"),
        pytest.param({"cron": "every day"}, "pattern", id="words"),
        pytest.param({"cron": "@never"}, "pattern", id="an alias that there is not"),
        pytest.param({"cron": "0 6 * * *\n"}, "pattern", id="a line break"),
        pytest.param({"cron": "0 22-2 * * *"}, "22-2 runs backwards; write two parts", id="a range over midnight"),
        pytest.param({"cron": "0 0 * * SAT-SUN"}, "SAT-SUN runs backwards; write two parts", id="a range over the weekend"),
        pytest.param({"cron": "0 0 * NOV-FEB/2 *"}, "NOV-FEB/2 runs backwards", id="a range over the year's end"),
        pytest.param(
            {"cron": "0 0 31 2 *"}, "'0 0 31 2 *' never comes; choose a day that one of its months has", id="the 31st of February"
        ),
        pytest.param({"cron": "0 0 31 2/7 *"}, "never comes", id="the 31st of February and September, written oddly"),
        pytest.param({"cron": "@daily", "timeZone": "Mars/Olympus"}, "unknown time zone Mars/Olympus; give a name", id="another planet"),
        pytest.param({"cron": "@daily", "timeZone": "Europe"}, "unknown time zone Europe", id="half a zone"),
        pytest.param({"cron": "@daily", "timeZone": "Local"}, "unknown time zone Local", id="a zone that differs by machine"),
        pytest.param({"cron": "@daily", "timeZone": "+02:00"}, "pattern", id="an offset"),
        pytest.param({}, "cron", id="nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(document: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        Schedule.model_validate(document)


def test_the_pattern_of_what_never_comes_is_right_for_every_day_and_pair_of_months() -> None:
    days = [*(str(day) for day in range(1, 32)), "30,31", "30-31", "31-31", "29-31", "30/1", "28,31"]
    months = [*MONTHS, "*", *(f"{a},{b}" for a, b in itertools.combinations(range(1, 13), 2)), "2,4,6,9,11", "02"]
    for day, month, weekday in itertools.product(days, months, ("*", "*/2", "1")):
        cron = f"0 0 {day} {month} {weekday}"
        try:
            Schedule(cron=cron)
            comes = True
        except ValidationError:
            comes = False
        assert (re.search(NEVER_PATTERN, cron) is None) is comes, cron
