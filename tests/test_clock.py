"""Times as texts: one width, text order is time order, nothing lost, nothing else accepted."""

from __future__ import annotations

import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peewee_conv import clock
from peewee_conv.clock import from_text, now_text, to_text, utc_now
from peewee_conv.errors import InvalidArgument

FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
INDIA = timezone(timedelta(hours=5, minutes=30))
NEW_YORK = timezone(timedelta(hours=-5))

offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59))
moments = st.datetimes(timezones=offsets.map(timezone) | st.just(UTC))
utc_moments = st.datetimes(timezones=st.just(UTC))


def fits(moment: datetime) -> bool:
    offset = moment.utcoffset()
    assert offset is not None
    try:
        moment.replace(tzinfo=None) - offset
    except OverflowError:
        return False
    return True


def beyond(offset: timedelta, share: float) -> datetime:
    """Return a moment so near the end of the calendar that *offset* leads out of it."""
    distance = (abs(offset) - timedelta(microseconds=1)) * share
    first, last = (end.replace(tzinfo=timezone(offset)) for end in (datetime.min, datetime.max))  # noqa: DTZ901
    return first + distance if offset > timedelta() else last - distance


class NoOffset(tzinfo):
    """A time zone that does not know: what carries it is naive, whatever its tzinfo says."""

    def utcoffset(self, moment: datetime | None, /) -> None:
        return None

    def dst(self, moment: datetime | None, /) -> None:
        return None

    def tzname(self, moment: datetime | None, /) -> None:
        return None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), "2026-01-02T03:04:05.678901Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 0, UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 7, UTC), "2026-01-02T03:04:05.000007Z"),
        (datetime(2026, 1, 1, 2, 0, 0, 0, INDIA), "2025-12-31T20:30:00.000000Z"),
        (datetime(2025, 12, 31, 23, 0, 0, 0, NEW_YORK), "2026-01-01T04:00:00.000000Z"),
        (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29T00:00:00.000000Z"),
        (datetime.min.replace(tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
        (datetime(987, 6, 5, tzinfo=timezone.min), "0987-06-05T23:59:00.000000Z"),
    ],
)
def test_a_moment_and_its_text_are_each_others_inverse(moment: datetime, text: str) -> None:
    assert to_text(moment) == text
    assert from_text(text) == moment
    assert from_text(text).tzinfo is UTC


@given(moments.filter(fits))
def test_every_moment_survives_the_round_trip(moment: datetime) -> None:
    text = to_text(moment)

    assert FORM.fullmatch(text)
    assert from_text(text) == moment


@given(moments.filter(fits), moments.filter(fits))
@example(datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
@example(datetime(2026, 1, 1, 5, 30, tzinfo=INDIA), datetime(2026, 1, 1, tzinfo=UTC))
@example(datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 999999, tzinfo=UTC))
def test_the_order_of_texts_is_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)
    assert (to_text(one) == to_text(other)) == (one == other)


def test_the_two_hours_of_a_clock_change_stay_apart() -> None:
    try:
        berlin = ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zones")
    summer = datetime(2025, 10, 26, 2, 30, tzinfo=berlin)

    assert to_text(summer) == "2025-10-26T00:30:00.000000Z"
    assert to_text(summer.replace(fold=1)) == "2025-10-26T01:30:00.000000Z"


@given(st.datetimes())
def test_a_naive_moment_is_refused(moment: datetime) -> None:
    with pytest.raises(InvalidArgument) as caught:
        to_text(moment, "created_at")

    assert (caught.value.argument, caught.value.value) == ("created_at", moment)
    assert str(caught.value).endswith("expected a datetime with a time zone")


@pytest.mark.parametrize("value", [datetime(2026, 1, 1, tzinfo=NoOffset()), date(2026, 1, 1), "now", 0, None])
def test_what_is_no_aware_datetime_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid since .*: expected a datetime with a time zone$"):
        to_text(value, "since")  # type: ignore[arg-type]


@given(st.builds(beyond, offsets.filter(bool), st.floats(0, 1)))
@example(datetime(1, 1, 1, 5, 29, 59, 999999, tzinfo=INDIA))
@example(datetime(9999, 12, 31, 19, tzinfo=NEW_YORK))
def test_a_moment_outside_the_years_of_utc_is_refused(moment: datetime) -> None:
    with pytest.raises(InvalidArgument) as caught:
        to_text(moment, "until")

    assert caught.value.argument == "until"
    assert caught.value.allowed == "a time of the years 1 to 9999 in UTC"
    assert isinstance(caught.value.__cause__, OverflowError)


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1, 5, 30, tzinfo=INDIA), datetime(9999, 12, 31, 18, 59, tzinfo=NEW_YORK)]
)
def test_the_first_and_the_last_moment_of_utc_fit(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.678Z",
        "2026-01-02T03:04:05.678901",
        "2026-01-02T03:04:05.6789012",
        "2026-01-02T03:04:05.678901z",
        "2026-01-02T03:04:05.678901+00:00",
        "2026-01-02 03:04:05.678901Z",
        "2026-01-02T03:04:05,678901Z",
        "2026-W01-5T03:04:05.678901Z",
        "2026-01-02T24:00:00.000000Z",
        "2026-01-02T23:59:60.000000Z",
        "2026-02-29T00:00:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
        "2026-01-02T03:04:05.67890\u0661Z",
        "2026-01-02T03:04:05.67+01:Z",
        " 2026-01-02T03:04:05.678901Z",
        "2026-01-02T03:04:05.678901Z\n",
        b"2026-01-02T03:04:05.678901Z",
        datetime(2026, 1, 2, tzinfo=UTC),
        None,
    ],
)
def test_any_other_text_is_refused(text: object) -> None:
    with pytest.raises(
        InvalidArgument, match=r"^invalid since .*: expected a UTC time as YYYY-MM-DDTHH:MM:SS.ffffffZ$"
    ):
        from_text(text, "since")  # type: ignore[arg-type]


@given(utc_moments, st.data())
def test_a_changed_text_is_refused_or_is_the_text_of_what_it_is_read_as(moment: datetime, data: st.DataObject) -> None:
    text = to_text(moment)
    start, length = data.draw(st.integers(0, 26)), data.draw(st.integers(1, 6))
    changed = text[:start] + data.draw(st.text("0123456789-:.,+TWZ ", min_size=length, max_size=length))
    changed += text[len(changed) :]

    try:
        moment = from_text(changed)
    except InvalidArgument:
        return
    assert to_text(moment) == changed


def test_now_is_aware_and_utc() -> None:
    before = datetime.now(UTC)

    now = utc_now()

    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_now_as_text_lies_between_two_looks_at_the_clock() -> None:
    before = to_text(utc_now() - timedelta(microseconds=1))  # the two round differently

    now = now_text()

    assert before <= now <= to_text(utc_now() + timedelta(microseconds=1))


@given(st.lists(st.integers(-(2**62), 2**63 - 1) | st.integers(-2_000_000_000, 2_000_000_000), min_size=1))
@example([-1, 0, 1, 999, 1000, 999_999_999, 10**9, 10**9 - 1, -(10**9)])
@example([10**18 - 1, 10**18, -(10**18), -(10**18) - 1])
def test_now_as_text_is_right_at_every_time_in_every_order(times: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for nanoseconds in times:
            patch.setattr(clock, "time_ns", lambda nanoseconds=nanoseconds: nanoseconds)
            expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds // 1000)

            assert now_text() == to_text(expected)


def test_threads_never_see_the_second_of_one_with_the_text_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every call is in another second than the one before, so that the remembered second changes all the time.
    def check(start: int) -> None:
        for second in range(start, start + 3000):
            patched.value = second * 10**9
            assert now_text() == to_text(datetime.fromtimestamp(second, UTC))

    patched = threading.local()
    monkeypatch.setattr(clock, "time_ns", lambda: patched.value)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(check, [10**9, 2 * 10**9, 3 * 10**9, 4 * 10**9]))
    finally:
        sys.setswitchinterval(interval)
