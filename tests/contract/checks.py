"""Checks of every answer, to any request. A check yields complaints, or nothing.

The further checks of answers with tasks or jobs stand in `items`.
"""

from __future__ import annotations

import codecs
import re
import uuid
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from contract import items
from contract.items import Check, Complaints
from contract.target import COUNTS, Answered, Counts
from taskcounts.protocol.answers import find_inconsistencies, read_json
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts_rest import contract

COUNTERS = ("active", "running", "completed", "succeeded", "failed")

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# A header has one form, wherever it comes.
_HEADERS = {
    name: schema
    for operations in contract.VERSIONS.values()
    for operation in operations.values()
    for name, schema in (operation.headers | operation.error_headers).items()
}
_check_error = compile_schema(contract.ERROR)
_INVARIANTS = contract.OPERATIONS["Job_GetTaskCounts"].invariants


def media_type(answered: Answered) -> Complaints:
    """Each body is JSON with minimal metadata, and says so."""
    if answered.asked.method == "HEAD":
        return
    if answered.body.startswith(codecs.BOM_UTF8):
        yield "the body begins with a byte order mark, which JSON must not have (RFC 8259, 8.1)"
    essence, _, rest = answered.headers.get("content-type", "").partition(";")
    parameters = sorted((part.strip().lower() for part in rest.split(";")), reverse=True)
    if essence.strip().lower() != "application/json":
        yield f"the content type is {essence!r}, not application/json"
    elif parameters not in (["odata=minimalmetadata"], ["odata=minimalmetadata", "charset=utf-8"]):
        yield f"the content type's parameters are {rest!r}, not odata=minimalmetadata"


def request_id(answered: Answered) -> Complaints:
    """Each answer carries the service's id of the request, a plain GUID."""
    given = answered.headers.get("request-id")
    if given is None:
        yield "the header request-id is missing"
    elif not _GUID.fullmatch(given):
        yield f"the request-id {given!r} is not a GUID"
    elif given == answered.asked.headers.get("client-request-id"):
        yield "the request-id is the caller's own id of the request"


def echo(answered: Answered) -> Complaints:
    """The caller's id comes back if, and only if, that was asked for."""
    asked, sent = answered.asked, answered.asked.headers
    own, wanted = sent.get("client-request-id"), sent.get("return-client-request-id", "false").lower()
    # Which ids are allowed depends on the version; at any other one, only a GUID surely is.
    form = {"type": "string", "format": "uuid"}
    if asked.query.get("api-version") == asked.api_version:
        form = asked.operations[COUNTS].parameters["client-request-id"]
    if wanted not in ("true", "false") or (own is not None and not in_form(form, own)):
        return  # Such a request is refused, and nobody says what its answer carries.
    given = answered.headers.get("client-request-id")
    if own is None or wanted == "false":
        if given is not None:
            yield f"a client-request-id came that was not asked for: {given!r}"
    elif given is None:
        yield "the client-request-id was asked for and didn't come"
    elif given != own and not (_GUID.fullmatch(own) and given.lower() == own.lower()):
        yield f"the client-request-id {given!r} is another's; ours is {own!r}"


def result_body(answered: Answered) -> Complaints:
    """A 200 carries exactly what the fragment describes for its operation."""
    if answered.status == 200 and answered.result[1] is not None:
        yield answered.result[1]


def invariants(answered: Answered) -> Complaints:
    """The counts of a 200 don't contradict each other."""
    counts = answered.conforming(COUNTS)
    for broken in find_inconsistencies(_INVARIANTS, counts) if counts else ():
        yield f"{broken.invariant}: {broken.text}"


def error_body(answered: Answered) -> Complaints:
    """Any other answer carries an error that says what it is: a code and a text."""
    if answered.status == 200 or answered.asked.method == "HEAD":
        return
    try:
        error = read_json(answered.headers, answered.body)
        _check_error(error)
    except Violation as violation:
        yield f"{violation.path}: {violation.reason}"
        return
    if not error.get("code"):
        yield "the error has no code"
    message = error.get("message", {}).get("value")
    if not message:
        yield "the error has no message"
    elif said := re.search(r"RequestId:(\S+)", message):
        given = answered.headers.get("request-id")
        if given is not None and said[1].lower() != given.lower():
            yield f"the message says that the request was {said[1]}, the header request-id says {given}"


def error_code(answered: Answered) -> Complaints:
    """An error's status and code belong together, and to the operation that was asked for."""
    if answered.status == 200:
        return
    # What has no operation of its own is refused as any operation would refuse it.
    known = answered.asked.operations[answered.asked.operation or COUNTS].error_codes.get(answered.status)
    if known is None:
        yield f"a {answered.status}, which the fragment doesn't have for the operation"
    elif answered.asked.method != "HEAD" and not list(error_body(answered)):
        code = read_json(answered.headers, answered.body)["code"]
        if code not in known:
            yield f"a {answered.status} with the code {code!r}; known are {', '.join(known)}"


def status(answered: Answered) -> Complaints:
    """The service answers 200 or refuses; it doesn't fail, redirect, or succeed in another way."""
    if answered.status != 200 and not 400 <= answered.status < 500:
        yield f"the status is {answered.status}"


def headers(answered: Answered) -> Complaints:
    """Each header that the fragment knows has its form, and those that it requires are there."""
    operation = answered.asked.operations[answered.asked.operation or COUNTS]
    described = operation.headers if answered.status == 200 else operation.error_headers
    for name, schema in (_HEADERS | described).items():
        given = answered.headers.get(name.lower())
        if given is None and name in described and schema["required"]:
            yield f"the header {name} is missing"
        elif given is not None and not in_form(schema, given):
            yield f"the header {name} is {given!r}, which isn't of the form that the fragment gives it"


def age(answered: Answered) -> Complaints:
    """No answer comes from a cache (RFC 9111, 5.1): it would be an old one."""
    given = answered.headers.get("age")
    if given is not None:
        yield f"the answer says that it has been in a cache, with Age: {given}"


def query(answered: Answered) -> Complaints:
    """No query gets a 200 that the fragment doesn't allow: a value out of its range, or of no known form.

    schemathesis itself passes over most of those, as long as another parameter of the query is right.
    """
    if answered.status != 200 or answered.asked.operation is None:
        return
    for name, schema in answered.asked.operations[answered.asked.operation].parameters.items():
        given = answered.asked.query.get(name.lower())
        if schema["in"] == "query" and given is not None and not in_form(schema, given):
            yield f"{name} is {given!r}, which should have been refused"


def in_form(schema: dict[str, Any], text: str) -> bool:
    """Return whether the text of a parameter or header is of the form that the fragment gives it."""
    if schema["type"] == "boolean":
        return text.lower() in ("true", "false")
    if schema["type"] == "integer":
        known = re.fullmatch("-?[0-9]{1,10}", text)
        return known is not None and schema["minimum"] <= int(text) <= schema.get("maximum", 2**31 - 1)
    if text != schema.get("const", text) or len(text) < schema.get("minLength", 0):
        return False
    if schema.get("format") == "uuid":
        return _GUID.fullmatch(text) is not None
    if schema.get("format") == "date-time-rfc1123":
        return _is_date(text)
    # Its end would also match before a line break.
    return "\n" not in text and re.search(schema.get("pattern", ""), text) is not None


def _is_date(text: str) -> bool:
    """Return whether a text is a date of RFC 1123, as it is written in HTTP (RFC 9110, 5.6.7)."""
    try:
        return format_datetime(parsedate_to_datetime(text), usegmt=True) == text
    except ValueError:
        return False


def secrecy(answered: Answered) -> Complaints:
    """No answer has the signature or token that it was asked with, or the account's key, or half of one."""
    text = answered.body.decode("utf-8", "replace").replace("\\/", "/") + str(dict(answered.headers))
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda escape: chr(int(escape[1], 16)), text)
    shown = text + unquote(text)
    for secret in answered.secrets:
        half = len(secret) // 2
        # What is shorter than this guards nothing, and may stand in any text.
        if half >= 8 and (secret[:half] in shown or secret[half:] in shown):
            yield "the answer has a secret: the signature or token of the request, or the account's key"
            return


EVERY_ANSWER: dict[str, Check] = {
    "status": status,
    "media-type": media_type,
    "request-id": request_id,
    "echo": echo,
    "result-body": result_body,
    "invariants": invariants,
    "error-body": error_body,
    "error-code": error_code,
    "headers": headers,
    "age": age,
    "query": query,
    "secrecy": secrecy,
    **items.CHECKS,
}


def counts_of(answered: Answered) -> Counts | None:
    """Return the counts of an answer, None if it has none that conform."""
    result = answered.conforming(COUNTS)
    if result is None:
        return None
    tasks, slots = (
        tuple(result[block][counter] for counter in COUNTERS) for block in ("taskCounts", "taskSlotCounts")
    )
    return tasks, slots


def new_guid() -> str:
    """Return a GUID that nobody has used."""
    return str(uuid.uuid4())
