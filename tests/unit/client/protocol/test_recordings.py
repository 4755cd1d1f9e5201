"""Real answers of the service, from recordings that Microsoft published with its clients."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.answers import Reply, Script, wire
from support.client import Call
from taskcounts import AuthenticationFailed, ContractViolation, RetryPolicy, ServiceBusy, ServiceError

ONCE = {"retry": RetryPolicy(max_attempts=1)}

RECORDINGS = [
    json.loads(line)
    for line in (Path(__file__).parents[3] / "data" / "recordings.jsonl").read_text().splitlines()
]
COUNTED = [recording for recording in RECORDINGS if recording["kind"] == "taskcounts"]
FAILED = [recording for recording in RECORDINGS if recording["kind"].startswith("error")]


def recorded(recording: dict[str, Any]) -> Reply:
    """Return a recording as it went over the wire."""
    body = recording["body"]
    headers = dict(recording["response_headers"] or {"content-type": "application/json"})
    # What belongs to the recorded connection, and the echo of the recorded question.
    for name in [*headers]:
        if name.lower() in ("transfer-encoding", "content-length", "client-request-id"):
            del headers[name]
    return Reply(recording["status"], headers, body.encode() if isinstance(body, str) else wire(body))


def numbers(counts: Any) -> list[int]:
    return [counts.active, counts.running, counts.completed, counts.succeeded, counts.failed]


@pytest.mark.parametrize(
    "recording", COUNTED, ids=lambda r: r["response_headers"].get("request-id", r["source"])
)
def test_recorded_counts(call: Call, recording: dict[str, Any]) -> None:
    """Real answers give their numbers exactly; the flat shape of old versions gives none."""
    script = Script(recorded(recording))
    body = recording["body"] if isinstance(recording["body"], dict) else json.loads(recording["body"])
    if "taskCounts" not in body:
        with pytest.raises(ContractViolation, match="taskCounts: the member is missing") as caught:
            call(script)
        assert caught.value.path == "taskCounts"
        return
    snapshot = call(script)
    names = ["active", "running", "completed", "succeeded", "failed"]
    assert numbers(snapshot.task_counts) == [body["taskCounts"][name] for name in names]
    assert numbers(snapshot.task_slot_counts) == [body["taskSlotCounts"][name] for name in names]
    assert snapshot.inconsistencies == ()
    assert snapshot.additional_properties == {"odata.metadata": body["odata.metadata"]}


def test_recordings_are_of_both_kinds() -> None:
    """The tests of recordings can fail: there are nested ones, a flat one, and errors."""
    shapes = ["taskSlotCounts" in str(recording["body"]) for recording in COUNTED]
    assert (shapes.count(True), shapes.count(False)) == (4, 1)
    assert {recording["status"] for recording in FAILED} == {400, 401, 412, 429}


@pytest.mark.parametrize("recording", FAILED, ids=lambda recording: str(recording["status"]))
def test_recorded_errors(call: Call, recording: dict[str, Any]) -> None:
    """Real errors become the right class, with code, message, details and request id as they came."""
    with pytest.raises(ServiceError) as caught:
        call(Script(recorded(recording)), client=ONCE)
    fault = caught.value
    kinds = {401: AuthenticationFailed, 429: ServiceBusy}
    assert type(fault) is kinds.get(recording["status"], ServiceError)
    assert fault.status == recording["status"]
    headers = {name.lower(): value for name, value in (recording["response_headers"] or {}).items()}
    assert fault.request_id == headers.get("request-id")
    assert fault.retry_after == (float(headers["retry-after"]) if "retry-after" in headers else None)
    body = recording["body"]
    if recording["status"] == 401:  # The source cut it in the middle.
        assert (fault.code, fault.message, fault.details) == (None, None, ())
        return
    body = body if isinstance(body, dict) else json.loads(body)
    assert fault.code == body["code"]
    assert fault.message == body["message"]["value"]
    assert fault.details == tuple((each["key"], each["value"]) for each in body.get("values", []))
    assert f"{fault.status} {fault.code}: {body['message']['value'].splitlines()[0]}" in str(fault)
    assert str(fault.request_id) in str(fault)
