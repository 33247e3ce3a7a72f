"""When something is looked at again by the clock: a cron text in a time zone, as a CronJob has it. Pure; knows no resource.

The only thing it reads is the time zone database of the machine.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, field_validator

from modelyard.domain.base import Spec

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

BACKWARDS_REMEDY = "write two parts, such as 22-23,0-2 or SAT,SUN"
NEVER_REMEDY = "choose a day that one of its months has"
ZONE_REMEDY = "give a name of the IANA database, such as Europe/Berlin or UTC"

LONGEST_SHIFT = timedelta(hours=3)
"""More than any zone sets its clocks by in summer or winter."""


def _field(number: str, names: tuple[str, ...] = ()) -> str:
    """A field of a cron text as a regular expression: a list of `*`, numbers, names and their ranges, each with a step."""
    name = f"(?i:{'|'.join(names)})"
    values = [rf"\*|{number}(?:-{number})?", *([f"{name}(?:-{name})?"] if names else [])]
    item = f"(?:{'|'.join(values)})(?:/[1-9][0-9]?)?"
    return f"{item}(?:,{item})*"


def _list(item: str) -> str:
    return f"(?i:{item})(?:,(?i:{item}))*"


FIELDS = (
    _field("[0-5]?[0-9]"),
    _field("(?:[01]?[0-9]|2[0-3])"),
    _field("(?:0?[1-9]|[12][0-9]|3[01])"),
    _field("(?:0?[1-9]|1[0-2])", MONTHS),
    _field("[0-7]", WEEKDAYS),
)
PATTERN = f"^(?:{'|'.join(ALIASES)}|{' +'.join(FIELDS)})$"

NEVER_PATTERN = (
    f"^[^ ]+ +[^ ]+ +(?:{_list('3[01](?:-3[01])?(?:/[0-9]+)?')} +{_list('0?2|FEB')}"
    f"|{_list('31(?:-31)?(?:/[0-9]+)?')} +{_list('0?[2469]|11|FEB|APR|JUN|SEP|NOV')}) +[*]"
)
"""Days that none of the months has, as people write them. Cron takes a day of the month *or* one of the week where both are given."""


class Schedule(Spec):
    """Points in time that come again and again."""

    cron: str = Field(pattern=PATTERN, max_length=100)
    """`MINUTE HOUR DAY MONTH WEEKDAY` such as `30 6 * * MON-FRI` or `*/15 * * * *`, or `@hourly`, `@daily`, `@weekly`,
    `@monthly` or `@yearly`. Where day and weekday are both given, either of them counts, as always with cron."""
    time_zone: str = Field(default="UTC", pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$", max_length=64)
    """IANA name such as `Europe/Berlin` of the time zone whose clocks count. A time that is skipped in spring comes right
    after the gap, one that is there twice in autumn counts once."""

    @field_validator("cron")
    @classmethod
    def _comes(cls, cron: str) -> str:
        for part in re.split("[ ,]+", cron):
            if _is_backwards(part):
                raise ValueError(f"{part} runs backwards; {BACKWARDS_REMEDY}")
        try:
            next(CronSim(ALIASES.get(cron, cron), datetime(2000, 1, 1, tzinfo=UTC)))
        except (CronSimError, StopIteration):
            raise ValueError(f"'{cron}' never comes; {NEVER_REMEDY}") from None
        return cron

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, time_zone: str) -> str:
        try:
            _zone(time_zone)
        except (ValueError, LookupError, OSError):
            raise ValueError(f"unknown time zone {time_zone}; {ZONE_REMEDY}") from None
        return time_zone


def last_tick(schedule: Schedule, now: str) -> str:
    """The latest point of a schedule that is not after `now`. Both are UTC, RFC 3339, in whole seconds."""
    moment = _parse(now)
    # By the clock on the wall an earlier tick may seem to be later, in the hour that is there twice.
    ticks = _ticks(schedule, moment + LONGEST_SHIFT, reverse=True)
    return _format(next(tick for tick in ticks if tick <= moment))


def next_tick(schedule: Schedule, now: str) -> str:
    """The first point of a schedule after `now`. Both are UTC, RFC 3339, in whole seconds."""
    moment = _parse(now)
    return _format(next(tick for tick in _ticks(schedule, moment, reverse=False) if tick > moment))


def is_due(schedule: Schedule, taken: str, now: str) -> bool:
    """Whether a tick has come since the one that was taken up last (empty: none was). However many were missed, it is due once.

    Also where the taken one lies so far ahead that the clock that took it was wrong; a clock that is ahead by less than
    until the next tick makes nothing due twice.
    """
    if not taken or not now:
        return not taken
    former = _parse(taken)
    return _parse(last_tick(schedule, now)) > former or former > _parse(next_tick(schedule, now))


def _ticks(schedule: Schedule, start: datetime, *, reverse: bool) -> Iterator[datetime]:
    """The ticks from a point in time on, or back."""
    cron = ALIASES.get(schedule.cron, schedule.cron)
    for tick in CronSim(cron, start.astimezone(_zone(schedule.time_zone)), reverse=reverse):
        yield tick.astimezone(UTC)


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def _is_backwards(part: str) -> bool:
    ends = re.match("([0-9]+)-([0-9]+)|([A-Za-z]+)-([A-Za-z]+)", part)
    if ends is None:
        return False
    if ends[1]:
        return int(ends[1]) > int(ends[2])
    order = [*MONTHS, *WEEKDAYS]
    return order.index(ends[3].upper()) > order.index(ends[4].upper())


def _parse(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(microsecond=0)


def _format(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
