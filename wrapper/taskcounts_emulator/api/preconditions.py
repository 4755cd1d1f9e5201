"""What a caller demands of a resource before it is read or changed: the conditional headers.

The rules are those of https://learn.microsoft.com/rest/api/batchservice/specifying-conditional-headers: two
pairs of headers go together, and in each the ETag decides alone; any other combination is refused.
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

# By the header that decides, the headers that may stand beside it.
_PAIRS = {_MATCH: _UNMODIFIED, _NONE_MATCH: _MODIFIED}


def precondition(headers: Mapping[str, str], *, reads: bool) -> Precondition:
    """Return what raises a Refusal if a resource is not as the headers demand.

    Args:
        headers: The request's headers, names in lower case.
        reads: Whether the resource is only read: then a caller whose copy is still good is told so (304).

    Raises:
        Refusal: The headers don't go together, or one has no date where it needs one.
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
        # As Last-Modified has it: who sends back what that said is not to fail by the part of a second.
        later = row.modified // 1_000_000 > seconds
        if later != (name == _MODIFIED):
            raise unmet

    return check_date


def _anything(_: JobRow | TaskRow) -> None:
    """Demand nothing."""


def _tag(text: str) -> str:
    """Return an ETag without its quotation marks: the service takes it with them and without."""
    return text.strip().removeprefix("W/").strip('"')
