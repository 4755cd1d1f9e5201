"""Times and durations: the service's forms, those of callers, and any other text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.tables import table
from taskcounts_emulator.api.auth import parse_date
from taskcounts_emulator.api.timestamps import etag, http_date, parse_duration, parse_timestamp, timestamp

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = -62135596800000000, 253402300799999999
# 2024-07-01T00:00:00Z
JULY = 1719792000000000

TIMES = st.integers(FIRST, LAST)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "1970-01-01T00:00:00.0000000Z"),
        (-1, "1969-12-31T23:59:59.9999990Z"),
        (JULY, "2024-07-01T00:00:00.0000000Z"),
        (JULY + 123456, "2024-07-01T00:00:00.1234560Z"),
        (FIRST, "0001-01-01T00:00:00.0000000Z"),
        (LAST, "9999-12-31T23:59:59.9999990Z"),
    ],
)
def test_a_timestamp_has_seven_digits(us: int, text: str) -> None:
    """Bodies have ticks of 100 ns, of which the last digit is always 0 here."""
    assert timestamp(us) == text
    assert parse_timestamp(text) == us


@given(TIMES)
def test_a_timestamp_is_read_as_it_was_written(us: int) -> None:
    """Writing and reading are inverse over all years."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}0Z", timestamp(us))
    assert parse_timestamp(timestamp(us)) == us


@pytest.mark.parametrize("us", [FIRST - 1, LAST + 1, 10**30])
def test_a_time_beyond_all_years_cannot_be_written(us: int) -> None:
    """A time outside the years 1 to 9999 is an error."""
    with pytest.raises(OverflowError):
        timestamp(us)
    with pytest.raises(OverflowError):
        http_date(us)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (784111777999999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (JULY, "Mon, 01 Jul 2024 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (FIRST, "Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_headers_have_dates_of_rfc_1123(us: int, text: str) -> None:
    """Fractions of a second are dropped, not rounded."""
    assert http_date(us) == text


@given(TIMES)
def test_a_header_is_read_as_it_was_written(us: int) -> None:
    """The parser of HTTP dates reads what is written, to the second."""
    assert parse_date(http_date(us)) == EPOCH + timedelta(seconds=us // 1_000_000)


def test_an_etag_is_the_time_in_ticks() -> None:
    """A recorded one is reproduced, to the microsecond, without quotation marks."""
    assert etag(1498502460957409) == "0x8D4BCC2E4835CCA"
    assert int("0x8D4BCC2E4835CD0", 16) - int("0x8D4BCC2E4835CCA", 16) == 6
    assert etag(0) == "0x89F7FF5F7B58000"


@given(TIMES)
def test_every_time_has_an_etag_of_its_own(us: int) -> None:
    """Different times have different ETags, and later ones are larger."""
    assert re.fullmatch("0x[0-9A-F]+", etag(us))
    assert int(etag(us + 1), 16) - int(etag(us), 16) == 10


@pytest.mark.parametrize(
    ("text", "past"),
    [
        ("2024-07-01", 0),
        ("2024-07-01T00:00Z", 0),
        ("2024-07-01T00:00:00Z", 0),
        ("2024-07-01T00:00:00.1Z", 100_000),
        ("2024-07-01T00:00:00.123456Z", 123_456),
        ("2024-07-01T00:00:00.0000019Z", 1),
        ("2024-07-01T01:02:03.5+00:00", 3_723_500_000),
        ("2024-07-01T02:00:00+02:00", 0),
        ("2024-07-01T05:30+05:30", 0),
        ("2024-06-30T10:00:00-14:00", 0),
        ("2024-07-01T14:00:00+14:00", 0),
        ("2024-06-30T23:59:00-00:01", 0),
    ],
)
def test_the_documented_forms_of_a_time_are_read(text: str, past: int) -> None:
    """A date alone is midnight UTC, an offset is subtracted, and the seventh digit is dropped."""
    assert parse_timestamp(text) == JULY + past


@pytest.mark.parametrize(
    "text",
    [
        *table("emulator/times", "not times"),
        "2024-07-01T00:00:00." + "9" * 10_000 + "Z",
        "9" * 10_000 + "-07-01",
    ],
)
def test_an_invalid_time_gives_none(text: str) -> None:
    """No text raises an exception, and none is guessed at."""
    assert parse_timestamp(text) is None


@given(
    st.datetimes(timezones=st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))),
    st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
)
def test_times_are_read_as_python_reads_them(time: datetime, timespec: str) -> None:
    """The standard library, which accepts more forms, agrees on those that are accepted here."""
    text = time.isoformat(timespec=timespec)
    us = (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
    assert parse_timestamp(text) == (us if FIRST <= us <= LAST else None)


@given(st.text() | st.text("0123456789-+:.TZ", max_size=40) | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d.*"))
def test_any_text_is_a_time_or_none(text: str) -> None:
    """A time that is read can be written, and is read back as the same."""
    us = parse_timestamp(text)
    assert us is None or parse_timestamp(timestamp(us)) == us


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1H30M", 5400.0),
        ("P7D", 604800.0),
        ("PT0S", 0.0),
        ("P0D", 0.0),
        ("PT10M", 600.0),
        ("PT90M", 5400.0),
        ("PT36H", 129600.0),
        ("PT0.5S", 0.5),
        ("PT0.1234567S", 0.1234567),
        ("PT0.123456789S", 0.1234567),
        ("P1DT2H3M4.5S", 93784.5),
        ("P1DT1S", 86401.0),
        ("PT007S", 7.0),
        ("P10675199DT2H48M5.4775807S", 922337203685.4775807),
        ("PT922337203685.477580799S", 922337203685.4775807),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Days to seconds, in any numbers, up to the longest duration of .NET."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *table("emulator/times", "not durations"),
        "PT" + "9" * 10_000 + "S",
    ],
)
def test_an_invalid_duration_gives_none(text: str) -> None:
    """Years, months, weeks, negative, too long and empty durations give None."""
    assert parse_duration(text) is None


@given(*[st.none() | st.integers(0, 10**6)] * 3, st.none() | st.integers(0, 10**10))
def test_a_duration_is_the_sum_of_its_parts(
    days: int | None, hours: int | None, minutes: int | None, ticks: int | None
) -> None:
    """Any part can be missing, but not all of them."""
    date = "" if days is None else f"{days}D"
    time = "" if hours is None else f"{hours}H"
    time += "" if minutes is None else f"{minutes}M"
    time += "" if ticks is None else f"{ticks // 10**7}.{ticks % 10**7:07}S"
    text = f"P{date}T{time}" if time else f"P{date}"
    whole = ((days or 0) * 86_400 + (hours or 0) * 3_600 + (minutes or 0) * 60) * 10**7 + (ticks or 0)
    assert parse_duration(text) == (whole / 10**7 if date or time else None)


@given(st.text() | st.text("PTDHMSYW0123456789.-", max_size=30) | st.from_regex(r"\AP\d+D"))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    """A duration is never negative, and never longer than the longest one."""
    seconds = parse_duration(text)
    assert seconds is None or 0 <= seconds <= 922337203685.4775807
