"""The answers that are accepted, and the errors for all others."""

import json
import logging
import time
from typing import Any

import pytest

from support.answers import BUSY, COUNTS, GUID, REQUEST_ID, Reply, Script, answer, error, wire
from support.client import Call
from support.clocks import FakeClock
from taskcounts import (
    AuthenticationFailed,
    ContractViolation,
    JobNotFound,
    RetryPolicy,
    ServiceBusy,
    ServiceError,
    TaskCountsError,
)
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts_rest import contract

ONCE = {"retry": RetryPolicy(max_attempts=1)}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a conforming body with one member changed, or left out for an Ellipsis."""
    body: dict[str, Any] = json.loads(json.dumps(COUNTS))
    *outer, name = path.split(".")
    place = body
    for each in outer:
        place = place[each]
    if value is ...:
        del place[name]
    else:
        place[name] = value
    return body


def literal(text: str, path: str = "taskCounts.failed") -> bytes:
    """Return a body in which one counter is written in some way that a JSON library wouldn't."""
    return wire(changed(path, "@@")).replace(b'"@@"', text.encode())


def repeated(name: str) -> bytes:
    return wire(COUNTS).replace(f'"{name}":'.encode(), f'"{name}": 1, "{name}":'.encode(), 1)


HTML = b"<html><body>Bad gateway</body></html>"
# What is wrong with a 200: the body, the path of the member at fault, a part of the reason.
BODIES: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "$", "it is empty"),
    "html": (HTML, "$", "it is not JSON"),
    "truncated": (wire(COUNTS)[:-10], "$", "it is not JSON"),
    "two values": (wire(COUNTS) * 2, "$", "it is not JSON"),
    "white space": (b" \r\n", "$", "it is not JSON"),
    "latin-1": (b'{"\xfc": 1}', "$", "it is not UTF-8"),
    "utf-16": (json.dumps(COUNTS).encode("utf-16"), "$", "it is not UTF-8"),
    "null byte": (wire(COUNTS) + b"\0", "$", "it is not JSON"),
    "deep arrays": (b"[" * 100_000, "$", "it is nested too deeply"),
    "deep objects": (b'{"a":' * 100_000, "$", "it is nested too deeply"),
    "deep member": (wire(COUNTS)[:-1] + b', "x": ' + b"[" * 100_000, "$", "it is nested too deeply"),
    "array": (wire([COUNTS]), "$", "an array is not an object"),
    "null": (b"null", "$", "null is not an object"),
    "string": (b'"ok"', "$", '"ok" is not an object'),
    "long string": (wire("x" * 100), "$", "a string is not an object"),
    "nothing in it": (b"{}", "taskCounts", "the member is missing"),
    "no slots": (wire(changed("taskSlotCounts", ...)), "taskSlotCounts", "the member is missing"),
    "no failed": (wire(changed("taskCounts.failed", ...)), "taskCounts.failed", "the member is missing"),
    "other case": (wire(changed("taskCounts", ...) | {"TaskCounts": 1}), "taskCounts", "is missing"),
    "null counts": (wire(changed("taskCounts", None)), "taskCounts", "null is not an object"),
    "array of counts": (wire(changed("taskCounts", [1, 2])), "taskCounts", "an array is not an object"),
    "number of slots": (wire(changed("taskSlotCounts", 5)), "taskSlotCounts", "5 is not an object"),
    "float": (literal("1.0"), "taskCounts.failed", "1.0 is not an integer"),
    "exponent": (literal("1e0"), "taskCounts.failed", "1.0 is not an integer"),
    "infinite": (literal("1e999"), "$", "1e999 is too large a number"),
    "NaN": (literal("NaN"), "$", "NaN is not JSON"),
    "Infinity": (literal("Infinity"), "$", "Infinity is not JSON"),
    "-Infinity": (literal("-Infinity"), "$", "-Infinity is not JSON"),
    "digits": (literal('"1"'), "taskCounts.failed", '"1" is not an integer'),
    "true": (literal("true"), "taskCounts.failed", "true is not an integer"),
    "null counter": (literal("null"), "taskCounts.failed", "null is not an integer"),
    "array counter": (literal("[1]"), "taskCounts.failed", "an array is not an integer"),
    "object counter": (literal("{}"), "taskCounts.failed", "an object is not an integer"),
    "negative": (literal("-1"), "taskCounts.failed", "-1 is not within 0 to 2147483647"),
    "too large": (literal("2147483648"), "taskCounts.failed", "2147483648 is not within 0 to"),
    "large": (literal("9" * 100), "taskCounts.failed", "a number is not within 0 to 2147483647"),
    "huge": (literal("1" + "0" * 5000), "$", "it is not JSON"),
    "octal": (literal("01"), "$", "it is not JSON"),
    "negative slots": (literal("-1", "taskSlotCounts.active"), "taskSlotCounts.active", "-1 is not within"),
    "twice": (repeated("failed"), "failed", "the member is there twice"),
    "twice at the top": (repeated("taskCounts"), "taskCounts", "the member is there twice"),
    "2 MB": (b" " * (2 << 20), "$", "it is larger than 1,048,576 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_break_the_contract(call: Call, name: str) -> None:
    """A 200 with a body against the fragment is a violation that names the member and the reason."""
    body, path, reason = BODIES[name]
    with pytest.raises(ContractViolation) as caught:
        call(Script(answer(body)))
    assert caught.value.path == path
    assert reason in str(caught.value)
    assert "the answer can't be trusted" in str(caught.value)
    assert caught.value.status == 200
    assert caught.value.request_id == REQUEST_ID
    assert caught.value.answer == body[:2000].decode("utf-8", "replace")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("status", [404, 400])
def test_errors_survive_any_body(call: Call, name: str, status: int) -> None:
    """An error keeps its status whatever its body is."""
    with pytest.raises(ServiceError) as caught:
        call(Script(answer(BODIES[name][0], status)))
    assert type(caught.value) is ServiceError
    assert caught.value.status == status
    assert (caught.value.code, caught.value.message, caught.value.details) == (None, None, ())
    assert "not in the service's error format; a proxy on the way may have answered" in str(caught.value)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json;odata=minimalmetadata",
        "application/json; odata=minimalmetadata",
        "Application/JSON ; charset=UTF-8",
        'application/json; odata=nometadata;charset="utf-8"',
        "application/json; charset=us-ascii",
        "application/json;",
    ],
)
def test_content_types_that_are_taken(call: Call, content_type: str) -> None:
    """JSON is taken however its content type is spelled, in UTF-8."""
    assert call(Script(answer(content_type=content_type))).total == 12


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"content-type": "text/html"}, "its content type is 'text/html', not application/json"),
        ({"content-type": "application/problem+json"}, "its content type is 'application/problem+json'"),
        ({"content-type": "application/jsonp"}, "its content type is 'application/jsonp'"),
        ({"content-type": ""}, "its content type is missing"),
        ({}, "its content type is missing"),
        ({"content-type": "application/json; charset=utf-16"}, "it is in 'utf-16', not in UTF-8"),
        ({"content-type": "application/json; charset=iso-8859-1"}, "it is in 'iso-8859-1', not in UTF-8"),
        ({"content-type": "application/json", "content-encoding": "br"}, "it is compressed (br)"),
    ],
    ids=str,
)
def test_headers_that_break_the_contract(call: Call, headers: dict[str, str], reason: str) -> None:
    """A 200 that doesn't say it is JSON in UTF-8, uncompressed, isn't read."""
    with pytest.raises(ContractViolation) as caught:
        call(Script(Reply(200, headers, wire(COUNTS))))
    assert caught.value.path == "$"
    assert reason in str(caught.value)
    assert caught.value.request_id is None


def test_identity_is_no_compression(call: Call) -> None:
    """A content coding that says there is none does no harm."""
    assert call(Script(answer(content_encoding="Identity"))).attempts == 1


def test_byte_order_mark(call: Call) -> None:
    """A byte order mark in front is no violation: it says UTF-8."""
    assert call(Script(answer(b"\xef\xbb\xbf" + wire(COUNTS)))).total == 12


def test_many_members_take_no_time(call: Call) -> None:
    """A member given twice is found in time that grows with the body, not with its square."""
    body = b"{" + b",".join(b'"%d":0' % n for n in range(20_000)) + b',"19999":0}'
    started = time.monotonic()
    with pytest.raises(ContractViolation, match="the member is there twice"):
        call(Script(answer(body)))
    assert time.monotonic() - started < 1


def test_unknown_members_are_kept(call: Call) -> None:
    """Members that the fragment doesn't name are kept as they came, at every level."""
    body = changed("taskCounts.preparing", 7) | {"odata.metadata": "x", "later": [1, {"a": None}, 0.5]}
    snapshot = call(Script(answer(body)))
    assert snapshot.additional_properties == {"odata.metadata": "x", "later": (1, {"a": None}, 0.5)}
    assert snapshot.task_counts.additional_properties == {"preparing": 7}


@pytest.mark.parametrize(
    "status", [201, 202, 204, 205, 206, 300, 304, 400, 402, 410, 449, 499, 501, 520, 599]
)
def test_only_200_is_success(call: Call, status: int) -> None:
    """Conforming counts under any other status are no counts."""
    with pytest.raises(ServiceError) as caught:
        call(Script(answer(status=status)))
    assert type(caught.value) is ServiceError
    assert caught.value.status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(call: Call, status: int) -> None:
    """Nothing is sent to where a redirect points; its host is named, its secrets aren't shown."""
    location = "https://user:passw0rd@portal.example:8443/login?token=s3cret#f"
    script = Script(Reply(status, {"location": location}))
    with pytest.raises(
        ServiceError, match=r"a redirect to portal\.example:8443, which is not followed"
    ) as caught:
        call(script)
    assert len(script.requests) == 1
    assert not any(word in str(caught.value) for word in ("passw0rd", "user", "s3cret"))


@pytest.mark.parametrize("location", ["/login", "http://[", "https://a\u2100b", "//", "javascript:x"])
def test_redirects_to_nowhere(call: Call, location: str) -> None:
    """A redirect that names no host, or nonsense, is still one."""
    script = Script(Reply(302, {"location": location.encode()}))  # type: ignore[dict-item]
    with pytest.raises(ServiceError, match="302: a redirect"):
        call(script)


@pytest.mark.parametrize(
    ("status", "location"), [(300, None), (302, None), (302, ""), (304, None), (304, "https://a.example")]
)
def test_what_is_no_redirect(call: Call, status: int, location: str | None) -> None:
    """Without a place to go to there is no redirect, and a 304 is none with one."""
    script = Script(Reply(status, {} if location is None else {"location": location}))
    with pytest.raises(ServiceError, match=f"{status}: not in the service's error format"):
        call(script)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "AuthenticationFailed", AuthenticationFailed),
        (403, "AccountIsDisabled", AuthenticationFailed),
        (404, "JobNotFound", JobNotFound),
        (404, "PoolNotFound", ServiceError),
        (404, "jobnotfound", ServiceError),
        (400, "JobNotFound", ServiceError),
        (409, "JobBeingDeleted", ServiceError),
        (429, "TooManyRequests", ServiceBusy),
        (500, "InternalError", ServiceError),
        (503, "ServerBusy", ServiceBusy),
    ],
)
def test_kinds_of_errors(call: Call, status: int, code: str, kind: type[ServiceError]) -> None:
    """Status and code decide the class of an error."""
    with pytest.raises(ServiceError) as caught:
        call(Script(error(status, code, "Words.\nRequestId:x\nTime:y", retry_after="7")), client=ONCE)
    fault = caught.value
    assert type(fault) is kind
    assert (fault.status, fault.code, fault.message) == (status, code, "Words.\nRequestId:x\nTime:y")
    assert (fault.retry_after, fault.request_id, fault.attempts) == (7, REQUEST_ID, 1)
    assert str(fault) == f"job 'job-1': {status} {code}: Words. (1 attempt, request id {REQUEST_ID})"


def test_404_from_a_proxy(call: Call) -> None:
    """A 404 that isn't the service's doesn't say that there is no job."""
    with pytest.raises(ServiceError) as caught:
        call(Script(Reply(404, {"content-type": "text/html"}, HTML)))
    assert type(caught.value) is ServiceError
    assert caught.value.code is None


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ([], (None, None, ())),
        ({"code": 5, "message": 5, "values": 5}, (None, None, ())),
        ({"message": "plain text"}, (None, "plain text", ())),
        ({"message": {"value": ["x"]}, "code": "C"}, ("C", None, ())),
        ({"message": {"value": ""}, "code": ""}, ("", "", ())),
        ({"message": {"value": "\n"}}, (None, "\n", ())),
        (
            {"values": [{"key": "a", "value": "b"}, {"key": "a"}, {"value": 1, "key": "k"}, 3]},
            (None, None, (("a", "b"),)),
        ),
        (
            {"code": "C\x1b[31m", "message": {"value": "\x1b[2Jgone\r\x07"}},
            ("C\x1b[31m", "\x1b[2Jgone\r\x07", ()),
        ),
        ({"code": "\ud800"}, ("\ud800", None, ())),
    ],
    ids=str,
)  # fmt: skip
def test_errors_in_odd_shapes(call: Call, body: Any, told: tuple[Any, ...]) -> None:
    """An error in another shape keeps its readable parts; str() is one printable line."""
    with pytest.raises(ServiceError) as caught:
        call(Script(answer(body, 400)))
    assert (caught.value.code, caught.value.message, caught.value.details) == told
    assert str(caught.value).isprintable()


def test_log_has_a_line_for_each_attempt(
    call: Call, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each attempt writes one log record: its outcome, and the pause before the next one."""
    caplog.set_level(logging.DEBUG, "taskcounts")
    call(
        Script(ConnectionResetError("gone\nastray"), BUSY, answer()),
        client={"clock": clock},
        client_request_id=GUID,
    )
    records = [record for record in caplog.records if record.name == "taskcounts"]
    assert [(record.levelname, record.getMessage()) for record in records] == [
        ("INFO", "job 'job-1', attempt 1: gone astray; next attempt in 0.5 s"),
        ("INFO", "job 'job-1', attempt 2: 503 ServerBusy; next attempt in 1 s"),
        ("DEBUG", "job 'job-1', attempt 3: 200"),
    ]
    assert {record.client_request_id for record in records} == {GUID}  # type: ignore[attr-defined]


def test_log_of_what_is_not_asked_again(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    """A log record names an error that has no text."""
    caplog.set_level(logging.INFO, "taskcounts")
    for reply in (answer(b""), ConnectionResetError(), Reply(404)):
        with pytest.raises(TaskCountsError):
            call(Script(reply), client=ONCE)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "ContractViolation",
        "no answer",
        "404",
    ]


def test_schema_words_that_no_check_knows() -> None:
    """A type that has no check is refused when the checks are made, not passed over when they run."""
    with pytest.raises(ValueError, match="no check for the type 'number'"):
        compile_schema({"type": "object", "properties": {"a": {"type": "number"}}})


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ([], "$", "an array is not an object"),
        ({"code": 5}, "code", "5 is not a string"),
        ({"message": "text"}, "message", "is not an object"),
        ({"message": {"lang": None}}, "message.lang", "null is not a string"),
        ({"values": {}}, "values", "an object is not an array"),
        ({"values": [{}, {"key": True}]}, "values[1].key", "true is not a string"),
    ],
    ids=str,
)
def test_checks_of_other_shapes(value: object, path: str, reason: str) -> None:
    """The checks know all shapes that the fragment has, the error's lists and strings among them."""
    with pytest.raises(Violation) as caught:
        compile_schema(contract.ERROR)(value)
    assert caught.value.path == path
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("usesTaskDependencies", "true", "neither true nor false"),
        ("usesTaskDependencies", 1, "neither true nor false"),
        ("creationTime", 1722515696, "not a string"),
        ("creationTime", "2024-08-01T12:34:56", "not a time"),
        ("creationTime", "2024-02-30T12:34:56Z", "not a time"),
        ("creationTime", "yesterday", "not a time"),
        ("executionInfo", {"endTime": "2024-08-01T12:34:56Z"}, "missing"),
    ],
)
def test_checks_of_jobs(member: str, value: object, reason: str) -> None:
    """The checks know the shapes of jobs and lists as well: truth values, and times with a zone."""
    check = compile_schema(contract.OPERATIONS["Job_List"].result)
    job = {
        "id": "job-1",
        "state": "active",
        "creationTime": "2016-11-19T00:05:25.3119159Z",
        "usesTaskDependencies": False,
        "executionInfo": {"startTime": "2016-11-19T00:05:25Z"},
    }
    check({"value": [job, {"id": "job-2", "state": "of another age"}], "unknown": None})
    with pytest.raises(Violation) as caught:
        check({"value": [job, job | {member: value}]})
    assert caught.value.path.startswith(f"value[1].{member}")
    assert reason in caught.value.reason
