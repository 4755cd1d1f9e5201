"""*Job - Get Task Counts* as the flow asks it: the request, and an answer's snapshot."""

from __future__ import annotations

from taskcounts.protocol import answers
from taskcounts.protocol.messages import Ask, Parts, Reply
from taskcounts.snapshot import Snapshot, TaskCounts, TaskSlotCounts
from taskcounts_rest import contract

_NAME = "Job_GetTaskCounts"
_OPERATION = contract.OPERATIONS[_NAME]
_INVARIANTS = answers.compile_invariants(_OPERATION.invariants)


def _build(reply: Reply) -> Snapshot:
    """Return the snapshot of an answer; raise Violation if it contradicts itself and that isn't allowed."""
    body, headers = reply.body, reply.headers
    inconsistencies = answers.find_inconsistencies(_INVARIANTS, body) + answers.find_doubts(headers)
    if inconsistencies and reply.strict:
        raise answers.Violation(inconsistencies[0].path, "; ".join(each.text for each in inconsistencies))
    others = body.copy()
    try:
        return Snapshot(
            job_id=reply.question.job_id,
            task_counts=TaskCounts.from_dict(others.pop("taskCounts")),
            task_slot_counts=TaskSlotCounts.from_dict(others.pop("taskSlotCounts")),
            observed_at=reply.observed_at,
            request_id=headers.get("request-id"),
            client_request_id=reply.question.client_request_id,
            attempts=reply.attempt,
            inconsistencies=inconsistencies,
            additional_properties=others,
        )
    except ValueError as error:
        raise answers.Violation("$", str(error)) from None


COUNTS = Ask(Parts(_NAME), answers.compile_schema(_OPERATION.result), _build)
