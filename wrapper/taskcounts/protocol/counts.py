"""The operation *Job - Get Task Counts*: its request, and the snapshot that it builds from an answer."""

from __future__ import annotations

from taskcounts.protocol import answers
from taskcounts.protocol.messages import CheckedAnswer, Operation, RequestParts
from taskcounts.protocol.schema import Violation, compile_schema
from taskcounts.snapshot import Snapshot, TaskCounts, TaskSlotCounts
from taskcounts_rest import contract

_NAME = "Job_GetTaskCounts"
_OPERATION = contract.OPERATIONS[_NAME]


def _build(answer: CheckedAnswer) -> Snapshot:
    """Return the snapshot of an answer; raise Violation if a strict client finds inconsistencies."""
    body, headers = answer.body, answer.headers
    inconsistencies = answers.find_inconsistencies(
        _OPERATION.invariants, body
    ) + answers.header_inconsistencies(headers)
    if inconsistencies and answer.strict:
        raise Violation(inconsistencies[0].path, "; ".join(each.text for each in inconsistencies))
    others = body.copy()
    try:
        return Snapshot(
            job_id=answer.call.job_id,
            task_counts=TaskCounts.from_dict(others.pop("taskCounts")),
            task_slot_counts=TaskSlotCounts.from_dict(others.pop("taskSlotCounts")),
            observed_at=answer.observed_at,
            request_id=headers.get("request-id"),
            client_request_id=answer.call.client_request_id,
            api_version=answer.call.api_version,
            attempts=answer.attempt,
            inconsistencies=inconsistencies,
            additional_properties=others,
        )
    except ValueError as error:
        raise Violation("$", str(error)) from None


TASK_COUNTS_OPERATION = Operation(RequestParts(_NAME), compile_schema(_OPERATION.result), _build)
