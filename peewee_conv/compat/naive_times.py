"""Times as the older applications gave them: UTC, but without saying so.

A plain naive ``datetime`` is taken for local time by ``timestamp()`` and ``astimezone()``, and then is off by the
offset of the host. These are compared, shown and pickled like naive ones, and those two answer for UTC.

>>> moment = naive_utc(datetime.fromisoformat("1970-01-02T01:00:00+01:00"))
>>> moment.isoformat(), moment.timestamp()
('1970-01-02T00:00:00', 86400.0)
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


class NaiveUtc(datetime):
    """A datetime without a time zone that means UTC."""

    def timestamp(self) -> float:
        """Return the seconds since 1970 in UTC."""
        return _aware(self).timestamp()

    def astimezone(self, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the same moment in *tz*, or in the zone of the host."""
        return _aware(self).astimezone(tz)


def naive_utc(moment: datetime) -> NaiveUtc:
    """Return an aware time as a naive one in UTC."""
    utc = moment.astimezone(UTC)
    return NaiveUtc.combine(utc.date(), utc.time())


def iso(moment: datetime) -> str:
    """Write an aware time as ISO 8601 in UTC without an offset, and without a fraction where that is 0."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def _aware(moment: datetime) -> datetime:
    return datetime.combine(moment.date(), moment.time(), moment.tzinfo or UTC)
