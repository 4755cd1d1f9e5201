"""*Job - Get Task Counts* as the flow asks it: the generated request, and an answer's snapshot."""

from __future__ import annotations

from typing import Any

from taskcounts import _answers
from taskcounts._steps import Ask, Question, Reply
from taskcounts.snapshot import Snapshot
from taskcounts_rest import contract
from taskcounts_rest.api.jobs import job_get_task_counts
from taskcounts_rest.models import TaskCountsResult

_OPERATION = contract.OPERATIONS["Job_GetTaskCounts"]


def _parts(question: Question, **common: Any) -> dict[str, Any]:
    return job_get_task_counts._get_kwargs(question.job_id, **common)


def _build(reply: Reply) -> Snapshot:
    """Return the snapshot of an answer; raise Violation if it contradicts itself and that isn't allowed."""
    broken = _answers.find_inconsistencies(_OPERATION.invariants, reply.body)
    inconsistencies = broken + _answers.find_doubts(reply.headers)
    if inconsistencies and reply.strict:
        raise _answers.Violation(inconsistencies[0].path, "; ".join(each.text for each in inconsistencies))
    result = TaskCountsResult.from_dict(reply.body)
    _answers.check_depth(result.additional_properties, "$")
    return Snapshot(
        job_id=reply.question.job_id,
        task_counts=result.task_counts,
        task_slot_counts=result.task_slot_counts,
        observed_at=reply.observed_at,
        request_id=reply.headers.get("request-id"),
        client_request_id=str(reply.question.client_request_id),
        attempts=reply.attempt,
        inconsistencies=inconsistencies,
        additional_properties=result.additional_properties,
    )


COUNTS = Ask(_parts, _answers.compile_schema(_OPERATION.result), _build)
