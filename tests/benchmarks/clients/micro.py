"""Parts of ours by themselves, on what a call gives them, and what Python's library takes for the same."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
import time
from collections.abc import Callable

from benchmarks.clients.measure import Setting, memory, setting
from taskcounts import SharedKey
from taskcounts.protocol import answers, requests
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.messages import Call, CheckedAnswer
from taskcounts_rest.contract import API_VERSION

SIZE = 1024
REPEATS = 15

HEADERS = {
    "transfer-encoding": "chunked",
    "content-type": "application/json;odata=minimalmetadata",
    "server": "Microsoft-HTTPAPI/2.0",
    "request-id": "0f4e2a9c-56c3-4a0e-9d29-0b1d8a3f6b57",
    "client-request-id": "9a7d0f3c-2b1e-4a58-9d6c-6f7b8e0a1c2d",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "dataserviceversion": "3.0",
    "date": "Thu, 01 Aug 2024 12:00:00 GMT",
}


def answer() -> bytes:
    """Return an answer of 1 KB: the service's members, and such as it may add some day."""
    counts = {"active": 123, "running": 45, "completed": 6789, "succeeded": 6700, "failed": 89}
    document: dict[str, object] = {
        "odata.metadata": "https://account.eastus.batch.azure.com/$metadata#taskcountsresult/@Element",
        "taskCounts": counts,
        "taskSlotCounts": counts,
    }
    while len(json.dumps(document)) < SIZE - 60:
        document[f"member{len(document)}"] = "such as there is none today"
    document["last"] = ""
    document["last"] = "x" * (SIZE - len(json.dumps(document)))
    return json.dumps(document).encode()


def parts(given: Setting) -> dict[str, Callable[[], object]]:
    """Return what can be measured, by name."""
    body, identity = answer(), HEADERS["client-request-id"]
    call = Call("nightly", None, 35.0, 120.0, identity, API_VERSION)
    observed = datetime.datetime.now(datetime.UTC)
    key = SharedKey(given.account, given.key)
    template = requests.request_template(TASK_COUNTS_OPERATION.parts, None, API_VERSION)
    path, date = template.path("nightly"), requests.format_http_date(observed)
    secret = base64.b64decode(given.key)

    def snapshot() -> object:
        result = answers.read_result(HEADERS, body, TASK_COUNTS_OPERATION.check)
        return TASK_COUNTS_OPERATION.build(CheckedAnswer(call, 1, result, HEADERS, observed, True))

    def text() -> str:
        return template.string_to_sign(key.account, path, date)

    return {
        "ours-answer": snapshot,
        "ours-signature": lambda: key.sign(text()),
        "json": lambda: json.loads(body),
        "hmac": lambda: hmac.digest(secret, text().encode(), hashlib.sha256),
    }


def main(given: Setting) -> None:
    """Measure one of them: the quickest of several times, since whatever comes between makes it slower."""
    part, taken = parts(given)[given.how], []
    for _ in range(REPEATS):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(given.calls):
            part()
        taken.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu, wall = min(taken)
    print(json.dumps({"calls": given.calls, "cpu": cpu, "wall": wall, "memory": memory()}))


if __name__ == "__main__":
    main(setting())
