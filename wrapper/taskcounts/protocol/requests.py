"""Requests, prepared as far as they don't change from one to the next; pure functions.

What is sent is what the generated client would send: the tests compare the two for any job id and options.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlencode

from taskcounts.credentials import head_to_sign, query_to_sign
from taskcounts.protocol.messages import RequestParts
from taskcounts_rest import contract

_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class RequestTemplate(NamedTuple):
    """What the requests of an operation have in common.

    Attributes:
        method: The verb.
        before: The path, up to the job id.
        after: The path after the job id; None if there is none in it.
        query: The query with its question mark; empty without.
        head: The beginning of the string to sign, up to the date.
        tail: Its end, which the query makes.
    """

    method: str
    before: str
    after: str | None
    query: str
    head: str
    tail: str

    def path(self, job_id: str) -> str:
        """Return the path, percent-encoded, of a request about a job."""
        return self.before if self.after is None else self.before + quote(job_id, safe="") + self.after


def request_template(parts: RequestParts, service_timeout: int | None) -> RequestTemplate:
    """Return what is known of a request before its job is.

    Raises:
        TypeError: The operation has no such option.
    """
    operation, options, link = parts
    if link is None:
        return _prepare(operation, options, service_timeout)
    method = contract.OPERATIONS[operation].method
    path, mark, query = link.partition("?")
    return RequestTemplate(method, path, None, mark + query, head_to_sign(method), query_to_sign(query))


@lru_cache(maxsize=64)
def _prepare(
    operation: str, options: tuple[tuple[str, str | int], ...], service_timeout: int | None
) -> RequestTemplate:
    described = contract.OPERATIONS[operation]
    before, braces, after = described.path.partition("{jobId}")
    given = dict(options)
    if service_timeout is not None:
        given["timeout"] = service_timeout
    values: dict[str, str | int] = {}
    for name, schema in described.parameters.items():
        if schema["in"] == "query":
            value = schema["const"] if "const" in schema else given.pop(name, None)
            if value is not None:
                values[name] = value
    if given:
        raise TypeError(f"{operation} has no parameter {', '.join(given)}")
    query = urlencode(values, quote_via=quote)
    head, tail = head_to_sign(described.method), query_to_sign(query)
    return RequestTemplate(described.method, before, after if braces else None, f"?{query}", head, tail)


def format_http_date(moment: datetime) -> str:
    """Return a moment, aware, as an HTTP date."""
    return _http_date((moment - _EPOCH) // _SECOND)


# Many requests are sent in one second.
@lru_cache(maxsize=8)
def _http_date(seconds: int) -> str:
    moment = _EPOCH + seconds * _SECOND
    # Not strftime, which speaks the language of the machine.
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"
