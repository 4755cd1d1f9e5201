"""Request templates: the parts of a request that stay the same from one to the next; pure functions.

The bytes sent are those that the generated client would send: the tests compare the two for any job id and
options.
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
    """The common parts of an operation's requests.

    Attributes:
        method: The verb.
        before: The path, up to the job id.
        after: The path after the job id; None if the path has no job id.
        query: The query with its question mark; empty without one.
        head: The beginning of the string to sign, up to the date.
        tail: The end of the string to sign, made from the query.
    """

    method: str
    before: str
    after: str | None
    query: str
    head: str
    tail: str

    def path(self, job_id: str) -> str:
        """Return the percent-encoded path of a request about a job."""
        return self.before if self.after is None else self.before + quote(job_id, safe="") + self.after

    def string_to_sign(self, account: str, path: str, date: str) -> str:
        """Return the string that the account's key signs; see `credentials.string_to_sign`."""
        return f"{self.head}{date}\n/{account}{path}{self.tail}"


def request_template(parts: RequestParts, service_timeout: int | None, api_version: str) -> RequestTemplate:
    """Return the template for the requests of an operation at an api-version.

    Raises:
        TypeError: The operation has no such option.
    """
    operation_id, options, link = parts
    if link is None:
        return _cached_template(operation_id, options, service_timeout, api_version)
    method = contract.VERSIONS[api_version][operation_id].method
    path, question_mark, query = link.partition("?")
    return RequestTemplate(
        method, path, None, question_mark + query, head_to_sign(method), query_to_sign(query)
    )


@lru_cache(maxsize=64)
def _cached_template(
    operation_id: str,
    options: tuple[tuple[str, str | int], ...],
    service_timeout: int | None,
    api_version: str,
) -> RequestTemplate:
    operation = contract.VERSIONS[api_version][operation_id]
    before, braces, after = operation.path.partition("{jobId}")
    unused = dict(options)
    if service_timeout is not None:
        unused["timeout"] = service_timeout
    values: dict[str, str | int] = {}
    for name, schema in operation.parameters.items():
        if schema["in"] == "query":
            # Versions differ in the case of names.
            value = schema["const"] if "const" in schema else unused.pop(name.lower(), None)
            if value is not None:
                values[name] = value
    if unused:
        raise TypeError(f"{operation_id} has no parameter {', '.join(unused)}")
    query = urlencode(values, quote_via=quote)
    head, tail = head_to_sign(operation.method), query_to_sign(query)
    return RequestTemplate(operation.method, before, after if braces else None, f"?{query}", head, tail)


def format_http_date(moment: datetime) -> str:
    """Return an aware datetime as an HTTP date."""
    return _format_http_date((moment - _EPOCH) // _SECOND)


# Many requests are sent in one second.
@lru_cache(maxsize=8)
def _format_http_date(seconds: int) -> str:
    moment = _EPOCH + seconds * _SECOND
    # strftime would use the language of the machine.
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02} {month} {moment.year:04} {moment:%H:%M:%S} GMT"
