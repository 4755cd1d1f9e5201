"""Job - Get Task Counts: its responses and refusals, in process and over a socket."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from support.signing import signature
from taskcounts.credentials import string_to_sign
from taskcounts_emulator import EmulatedAccount, Emulator, create_app

Ask = Callable[..., httpx.Response]

DATE = "Thu, 01 Aug 2024 12:34:56 GMT"
VERSION = "api-version=2024-07-01.20.0"
ID = "9C4D50EE-2d56-4cd3-8152-34347dc9f2b0"
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """Assert that a response is a refusal in the service's form, and return its details."""
    assert answer.status_code == status
    body = answer.json()
    assert list(body)[:3] == ["odata.metadata", "code", "message"]
    assert body["odata.metadata"] == (
        "http://myaccount.test/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element"
    )
    assert body["code"] == code
    assert body["message"]["lang"] == "en-US"
    assert re.fullmatch(
        rf".+\nRequestId:{answer.headers['request-id']}\nTime:2024-08-01T12:34:56\.6543210Z",
        body["message"]["value"],
    )
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-type"] == "application/json;odata=minimalmetadata"
    assert "transfer-encoding" not in answer.headers
    return {detail["key"]: detail["value"] for detail in body.get("values", [])}


def test_counts_have_the_services_headers_and_layout(ask: Ask) -> None:
    """The 200 has the headers and, byte for byte, the layout of recorded responses."""
    answer = ask()
    assert answer.status_code == 200
    assert sorted(answer.headers.items()) == [
        ("content-type", "application/json;odata=minimalmetadata"),
        ("dataserviceversion", "3.0"),
        ("date", DATE),
        ("request-id", answer.headers["request-id"]),
        ("server", "Microsoft-HTTPAPI/2.0"),
        ("strict-transport-security", "max-age=31536000; includeSubDomains"),
        ("transfer-encoding", "chunked"),
        ("x-content-type-options", "nosniff"),
    ]
    assert re.fullmatch(GUID, answer.headers["request-id"])
    assert answer.content == (
        b'{\r\n  "odata.metadata":"http://myaccount.test/$metadata#taskcountsresult/@Element","taskCounts":{'
        b'\r\n    "active":5,"running":7,"completed":4,"succeeded":2,"failed":2\r\n  },"taskSlotCounts":{'
        b'\r\n    "active":5,"running":13,"completed":10,"succeeded":2,"failed":8\r\n  }\r\n}'
    )


def test_each_answer_has_a_request_id_of_its_own(ask: Ask) -> None:
    """Two responses never have the same request id."""
    assert ask().headers["request-id"] != ask().headers["request-id"]


@pytest.mark.parametrize("job_id", ["nightly", "NIGHTLY", "Nightl%79"])
def test_a_job_is_found_however_its_id_is_spelled(ask: Ask, job_id: str) -> None:
    """The case of a job id and its percent-encoding do not matter."""
    assert ask(f"/jobs/{job_id}/taskcounts?{VERSION}").status_code == 200


@pytest.mark.parametrize("job_id", ["sched:job-1", "sched%3Ajob-1", "SCHED%3ajob-1"])
def test_a_job_of_a_schedule_is_found(emulator: Emulator, ask: Ask, job_id: str) -> None:
    """A colon in a job id can be sent raw or encoded, and is signed as it was sent."""
    emulator.add_job("sched:job-1")
    assert ask(f"/jobs/{job_id}/taskcounts?{VERSION}").json()["taskCounts"]["active"] == 0


@pytest.mark.parametrize(
    "job_id", ["other", "..", "%2e%2e", "a%2Fb", "%00", "%0A", "%ff", "a" * 65, "%ED%A0%80"]
)
def test_a_job_that_is_not_there_is_not_found(ask: Ask, job_id: str) -> None:
    """Any other job id, however hostile, is JobNotFound without details."""
    assert refused(ask(f"/jobs/{job_id}/taskcounts?{VERSION}"), 404, "JobNotFound") == {}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "//",
        "/job",
        "/jobs/",
        "/jobs//taskcounts",
        "/jobs/nightly/taskcounts/",
        "//jobs/nightly/taskcounts",
        "/jobs/nightly/taskcounts%0A",
        "/jobs/nightly/tasks/t1/",
        "/jobs/nightly/tasks/t1/taskcounts",
        "/poolsandmore",
        "/_emulator",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_without_a_resource_is_an_invalid_uri(ask: Ask, path: str, method: str) -> None:
    """Another path is refused, never redirected."""
    assert refused(ask(f"{path}?{VERSION}", method), 400, "InvalidUri") == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_another_method_is_refused_with_the_one_that_is_allowed(ask: Ask, method: str) -> None:
    """Every method other than GET is 405 with Allow, even without authentication."""
    answer = ask(method=method, sign=False)
    assert refused(answer, 405, "UnsupportedHttpVerb") == {}
    assert answer.headers["allow"] == "GET"


def test_head_is_refused_without_a_body(ask: Ask) -> None:
    """HEAD has the headers of its refusal, and no body."""
    answer = ask(method="HEAD")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""


@pytest.mark.parametrize("query", ["", "?", "?api-version=", "?other=1", "?api%2Dversion="])
def test_the_api_version_is_required(ask: Ask, query: str) -> None:
    """An api-version that is absent or blank is MissingRequiredQueryParameter."""
    answer = ask(f"/jobs/nightly/taskcounts{query}")
    assert refused(answer, 400, "MissingRequiredQueryParameter") == {"QueryParameterName": "api-version"}


@pytest.mark.parametrize(
    "query",
    ["Api-Version=2024-07-01.20.0", "api%2Dversion=2024-07-01.20.0", f"timeOut=20&{VERSION}&&x=1&x=2"],
)
def test_query_names_are_taken_in_any_case_and_unknown_ones_ignored(ask: Ask, query: str) -> None:
    """Names of query parameters are case-insensitive, and unknown ones are ignored."""
    assert ask(f"/jobs/nightly/taskcounts?{query}").status_code == 200


@pytest.mark.parametrize("value", ["1", "30", "0031", "2147483647", "31"])
def test_a_timeout_may_be_any_positive_int32(ask: Ask, value: str) -> None:
    """A timeout from 1 to the end of int32 is accepted."""
    assert ask(f"/jobs/nightly/taskcounts?{VERSION}&timeout={value}").status_code == 200


@pytest.mark.parametrize("value", ["", "x", "1.5", "1e1", "+1", "%201", "0x10", "--1", "%D9%A1"])
def test_a_timeout_that_is_no_number_is_invalid(ask: Ask, value: str) -> None:
    """A timeout that is not in decimal digits is InvalidQueryParameterValue."""
    answer = ask(f"/jobs/nightly/taskcounts?{VERSION}&timeout={value}")
    details = refused(answer, 400, "InvalidQueryParameterValue")
    assert details["QueryParameterName"] == "timeout"
    assert details["Reason"] == "Timeout is not a whole number"


@pytest.mark.parametrize("value", ["0", "-0", "-1", "000", "2147483648", "-2147483649", "9" * 5000])
def test_a_timeout_beyond_its_range_is_out_of_range(ask: Ask, value: str) -> None:
    """A timeout below 1 or beyond int32 is OutOfRangeQueryParameterValue, however long it is."""
    answer = ask(f"/jobs/nightly/taskcounts?{VERSION}&timeout={value}")
    details = refused(answer, 400, "OutOfRangeQueryParameterValue")
    assert details["QueryParameterValue"] == value


@pytest.mark.parametrize("query", [f"{VERSION}&{VERSION}", f"{VERSION}&timeout=1&timeOut=2"])
def test_a_parameter_that_stands_twice_is_invalid(ask: Ask, query: str) -> None:
    """A known query parameter can be sent once, in any case."""
    details = refused(ask(f"/jobs/nightly/taskcounts?{query}"), 400, "InvalidQueryParameterValue")
    assert details["Reason"] == "The parameter is repeated"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("client-request-id", ""),
        ("client-request-id", "x"),
        ("client-request-id", "{" + ID + "}"),
        ("client-request-id", ID + "0"),
        ("client-request-id", ID.replace("-", "")),
        ("return-client-request-id", ""),
        ("return-client-request-id", "yes"),
        ("return-client-request-id", "1"),
    ],
)
def test_a_header_of_the_wrong_form_is_refused(ask: Ask, name: str, value: str) -> None:
    """A client request id is a plain GUID, and return-client-request-id is true or false."""
    details = refused(ask(headers=[(name, value)]), 400, "InvalidHeaderValue")
    assert details["HeaderName"] == name
    assert details["HeaderValue"] == value


@pytest.mark.parametrize("date", ["now", "2024-08-01T12:34:56Z", "Fri, 01 Aug 2024 12:34:56 GMT", ""])
def test_an_ocp_date_of_the_wrong_form_is_refused(ask: Ask, date: str) -> None:
    """With a bearer token, too, an ocp-date must be an RFC 1123 date."""
    headers = [("authorization", "Bearer token"), ("ocp-date", date)]
    assert refused(ask(headers=headers, sign=False), 400, "InvalidHeaderValue")["HeaderName"] == "ocp-date"


@pytest.mark.parametrize(
    ("name", "value"), [("client-request-id", ID), ("return-client-request-id", "true"), ("ocp-date", DATE)]
)
def test_a_header_that_stands_twice_is_refused(ask: Ask, name: str, value: str) -> None:
    """The headers of the operation can be sent once."""
    answer = ask(headers=[(name, value), (name, value)])
    assert refused(answer, 400, "InvalidHeaderValue")["Reason"] == "The header is repeated"
    assert "client-request-id" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "echoed"),
    [
        ([("client-request-id", ID), ("return-client-request-id", "true")], ID),
        ([("client-request-id", ID), ("return-client-request-id", "True")], ID),
        ([("client-request-id", ID), ("return-client-request-id", "false")], None),
        ([("client-request-id", ID)], None),
        ([("return-client-request-id", "true")], None),
        ([("client-request-id", "x"), ("return-client-request-id", "true")], None),
    ],
)
@pytest.mark.parametrize("target", [f"/jobs/nightly/taskcounts?{VERSION}", "/jobs/nightly/taskcounts", "/"])
def test_the_client_request_id_comes_back_if_it_is_wanted(
    ask: Ask, headers: list[tuple[str, str]], echoed: str | None, target: str
) -> None:
    """It is returned as it was spelled, on errors, too, but only if it was sent and asked for."""
    assert ask(target, headers=headers).headers.get("client-request-id") == echoed


def test_a_failure_of_the_emulator_is_an_error_of_the_service(
    emulator: Emulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected exception is logged, and answered with InternalError."""
    emulator.close()
    answer = ask()
    assert refused(answer, 500, "InternalError") == {}
    assert b"store" not in answer.content
    assert answer.headers["request-id"] in caplog.text


def test_nothing_that_is_refused_or_logged_shows_a_secret(
    emulator: Emulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the key, nor a right or wrong signature, nor a token is in any response, log or repr."""
    headers = {"host": "myaccount.test", "ocp-date": DATE}
    good = signature(
        base64.b64decode(emulator.key),
        string_to_sign("GET", f"/jobs/nightly/taskcounts?{VERSION}", headers, "myaccount"),
    )
    bad = "A" * 43 + "="
    said = ""
    with caplog.at_level(1):
        for value in (
            f"SharedKey myaccount:{bad}",
            f"SharedKey myaccount {bad}",
            "Bearer s3cr.3t.token!",
            "s3cr",
        ):
            answer = ask(headers=[("authorization", value), ("ocp-date", DATE)], sign=False)
            assert answer.status_code in (400, 403)
            said += answer.text + repr(answer.headers)
    said += caplog.text + repr(emulator)
    for secret in (emulator.key, good, bad, "s3cr"):
        assert secret not in said
    account = EmulatedAccount("myaccount", emulator.key)
    assert repr(account) == "EmulatedAccount('myaccount', key=<hidden>, store=':memory:')"
    assert repr(emulator).startswith("Emulator('myaccount', key=<hidden>, endpoint='http")


def test_a_websocket_is_closed() -> None:
    """Under another server the application refuses websockets on all paths."""
    for path in ("/jobs/x/taskcounts", "/_emulator/jobs"):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        async def receive() -> dict[str, object]:
            return {"type": "websocket.connect"}

        scope: dict[str, Any] = {"type": "websocket", "path": path, "headers": [], "root_path": ""}
        asyncio.run(create_app(EmulatedAccount())(scope, receive, send))
        assert [message["type"] for message in sent] == ["websocket.close"]


def test_another_server_need_not_know_the_path_as_it_was_sent() -> None:
    """Without ASGI's optional raw_path, server and HTTP version, a request is still answered."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    service = EmulatedAccount()
    service.add_job("sched:job-1")
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/jobs/sched:job-1/taskcounts",
        "query_string": VERSION.encode(),
        "root_path": "",
        "scheme": "https",
        "headers": [(b"Authorization", b"Bearer token")],
    }
    asyncio.run(create_app(service)(scope, receive, send))
    assert sent[0]["status"] == 200
    assert b'"https:///$metadata#taskcountsresult/@Element"' in sent[1]["body"]


def _now() -> datetime:
    return datetime(2024, 8, 1, 12, 34, 56, 654321, tzinfo=UTC)
