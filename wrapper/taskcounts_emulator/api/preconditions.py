"""Conditional headers.

The rules are those of https://learn.microsoft.com/rest/api/batchservice/specifying-conditional-headers: two
pairs of headers can be combined, and in each pair the ETag decides alone; other combinations are refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from taskcounts_emulator.api.auth import parse_date
from taskcounts_emulator.api.timestamps import etag
from taskcounts_emulator.model import JobRow, Precondition, TaskRow
from taskcounts_emulator.refusals import Refusal

__all__ = ["precondition"]

_MATCH, _NONE_MATCH = "if-match", "if-none-match"
_MODIFIED, _UNMODIFIED = "if-modified-since", "if-unmodified-since"

# The ETag headers, each with the date header that may accompany it.
_PAIRS = {_MATCH: _UNMODIFIED, _NONE_MATCH: _MODIFIED}


def precondition(headers: Mapping[str, str], *, reads: bool) -> Precondition:
    """Return a check that raises a Refusal if a resource does not meet the conditions.

    Args:
        headers: The request's headers, names in lower case.
        reads: Whether the resource is only read, so that a valid cached copy is answered with 304.

    Raises:
        Refusal: The headers cannot be combined, or a date is invalid.
    """
    given = [name for name in (_MATCH, _NONE_MATCH, _UNMODIFIED, _MODIFIED) if name in headers]
    if len(given) > 1 and given[1:] != [_PAIRS.get(given[0])]:
        raise Refusal("MultipleConditionHeadersNotSupported", ", ".join(given))
    if not given:
        return _anything
    name = given[0]
    value = headers[name]
    unmet = Refusal("ConditionNotMet", status=304 if reads and name in (_NONE_MATCH, _MODIFIED) else 412)

    if name in _PAIRS:
        tags = {_tag(part) for part in value.split(",")}

        def check(row: JobRow | TaskRow) -> None:
            fits = "*" in tags or etag(row.modified, row.number) in tags
            if fits != (name == _MATCH):
                raise unmet

        return check

    date = parse_date(value)
    if date is None:
        raise Refusal("InvalidHeaderValue", name, value, "The value is not a date of the form of RFC 1123")
    seconds = int(date.timestamp())

    def check_date(row: JobRow | TaskRow) -> None:
        # Compared in whole seconds, the resolution of Last-Modified, which callers send back.
        later = row.modified // 1_000_000 > seconds
        if later != (name == _MODIFIED):
            raise unmet

    return check_date


def _anything(_: JobRow | TaskRow) -> None:
    """Accept any resource."""


def _tag(text: str) -> str:
    """Return an ETag without quotation marks, which the service does not require."""
    return text.strip().removeprefix("W/").strip('"')
