"""Times as the tables keep them: UTC texts of one width, whose text order is the order of time.

Services take a ``now_text: Callable[[], str]`` and default to :func:`now_text`; a test passes its own.

>>> to_text(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
'2026-01-02T03:04:05.678901Z'
>>> from_text('2026-01-02T03:04:05.678901Z')
datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from time import time_ns

from .errors import InvalidArgument

#: What tells the time: aware datetimes, of any time zone.
Clock = Callable[[], datetime]

_FORM = "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ"
_AWARE = "a datetime with a time zone"
_IN_RANGE = "a time of the years 1 to 9999 in UTC"
_TEXT = "a UTC time as YYYY-MM-DDTHH:MM:SS.ffffffZ"

# Added to the clock's nanoseconds to have ten digits of seconds at least, before 2001 and before 1970 too.
_SHIFT = 10**19

# The digits of the last second seen, and its text. One tuple, replaced whole: no thread sees the second of one and the
# text of another, and the worst that a race can do is to format a second twice.
_last_second: tuple[str, str] = ("", "")


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


def now_text() -> str:
    """Return the current time as :func:`to_text` would write it, some times faster."""
    global _last_second
    digits = str(time_ns() + _SHIFT)
    second = digits[:-9]
    cached, prefix = _last_second
    if cached != second:
        prefix = datetime.fromtimestamp(int(second) - _SHIFT // 10**9, UTC).isoformat()[:19]
        _last_second = second, prefix
    return f"{prefix}.{digits[-9:-3]}Z"


def to_text(moment: datetime, argument: str = "moment") -> str:
    """Write *moment* as ``YYYY-MM-DDTHH:MM:SS.ffffffZ``: always 27 characters, always UTC.

    :param moment: an aware datetime of any time zone.
    :param argument: the name of the argument it came in by, for the error.
    :raises InvalidArgument: *moment* is no datetime, is naive, or leaves the years 1 to 9999 on its way to UTC.
    """
    if not isinstance(moment, datetime):
        raise InvalidArgument(argument, moment, _AWARE)
    if moment.tzinfo is not UTC:
        moment = _to_utc(moment, argument)
    date = moment.year, moment.month, moment.day
    return _FORM % (*date, moment.hour, moment.minute, moment.second, moment.microsecond)


def from_text(text: str, argument: str = "text") -> datetime:
    """Read what :func:`to_text` wrote, and nothing else.

    :param text: ``YYYY-MM-DDTHH:MM:SS.ffffffZ``.
    :param argument: the name of the argument it came in by, for the error.
    :returns: the same moment, aware, in UTC.
    :raises InvalidArgument: *text* is not of that form or names no real time.
    """
    if not (isinstance(text, str) and len(text) == 27 and text[26] == "Z" and text[4:20:3] == "--T::."):
        raise InvalidArgument(argument, text, _TEXT)
    if text[11:13] == "24":  # Python 3.14 reads it as midnight of the next day: two texts for one moment
        raise InvalidArgument(argument, text, _TEXT)
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgument(argument, text, _TEXT) from error


def _to_utc(moment: datetime, argument: str) -> datetime:
    # Not tzinfo alone: a time zone may answer None, and astimezone() would then guess the machine's own.
    try:
        if moment.utcoffset() is None:
            raise InvalidArgument(argument, moment, _AWARE)
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidArgument(argument, moment, _IN_RANGE) from error
    except (TypeError, ValueError, NotImplementedError) as error:  # a time zone that answers what none may
        if isinstance(error, InvalidArgument):
            raise
        raise InvalidArgument(argument, moment, _AWARE) from error
