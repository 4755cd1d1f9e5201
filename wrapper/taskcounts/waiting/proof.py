"""Proofs: a few list queries, one after the other, that prove a claim about a job or refute it; pure.

Tasks come, go and move between two queries. So the proof of "all tasks are completed" holds the deciding
query between two others: they find the same completed task before and after, and the one in the middle
finds no unfinished task. At the moment of the middle query the job then was done, and had a task. That holds
however much time passes in between, so a proof is resumed after a query without an answer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from taskcounts.waiting.queries import Task

# Lists have no documented order: after so many rounds another task each time is accepted.
ROUNDS = 3


class Claim(StrEnum):
    """A claim that list queries can prove."""

    ENDED = "ended"
    """There are tasks, and all of them are completed."""
    IDLE = "idle"
    """There are tasks, and none of them is active."""
    FAILED = "failed"
    """A task failed."""


class Stage(StrEnum):
    """The next query of a proof."""

    FIRST = "first"
    """One query that refutes the claim at the least cost."""
    BEFORE = "before"
    """Is there a task at all, and does it contradict the claim?"""
    MIDDLE = "middle"
    """Is there a task that contradicts the claim?"""
    AFTER = "after"
    """Is the task found before still there?"""


class Proof(NamedTuple):
    """The state of a proof.

    Attributes:
        claim: The claim to prove.
        stage: The next query.
        task_before: The task that the query before found; it doesn't contradict the claim.
        rounds: The number of times that the task found after differed from the one before.
    """

    claim: Claim
    stage: Stage
    task_before: Task | None = None
    rounds: int = 0

    @property
    def query(self) -> str:
        """The name of the next query, one of `queries.FILTERS`."""
        failed = self.task_before is not None and self.task_before.failed
        match self.claim, self.stage:
            case Claim.FAILED, _:
                return "failed"
            case Claim.ENDED, Stage.FIRST:
                return "unfinished"
            case Claim.ENDED, Stage.MIDDLE:
                return "unfinished" if failed else "unsuccessful"
            case Claim.ENDED, Stage.AFTER if failed:
                return "failed"
            case Claim.IDLE, Stage.FIRST | Stage.MIDDLE:
                return "active"
        return "any"


class Result(StrEnum):
    """The result of a proof."""

    PROVEN = "proven"
    REFUTED = "refuted"
    EMPTY = "empty"
    """The job has no task."""
    OPEN = "open"
    """Tasks came or went between the queries."""


class Finding(NamedTuple):
    """The outcome of a proof.

    Attributes:
        claim: The claim.
        result: Whether it is proven.
        task: The task that proves or refutes it; a failed one if there is one.
    """

    claim: Claim
    result: Result
    task: Task | None = None


def begin_proof(claim: Claim, *, likely: bool) -> Proof:
    """Return a new proof; that of an unlikely claim begins with the cheapest query that can refute it."""
    if claim is Claim.FAILED or not likely:
        return Proof(claim, Stage.FIRST)
    return Proof(claim, Stage.BEFORE)


def advance(proof: Proof, found: Task | None) -> Proof | Finding:  # noqa: PLR0911 - a line for each case.
    """Return the proof after its query found a task or none, or the finding that ends it."""
    claim = proof.claim
    if claim is Claim.FAILED:
        return Finding(claim, Result.PROVEN if found else Result.REFUTED, found)
    if found is not None and _contradicts(claim, found):
        return Finding(claim, Result.REFUTED, found)
    match proof.stage:
        case Stage.FIRST:
            return proof._replace(stage=Stage.BEFORE)
        case Stage.BEFORE if found is None:
            return Finding(claim, Result.EMPTY)
        case Stage.BEFORE:
            return proof._replace(stage=Stage.MIDDLE, task_before=found)
        case Stage.MIDDLE if found is None:
            return proof._replace(stage=Stage.AFTER)
        case Stage.MIDDLE:
            # The query was for unfinished or failed tasks, and found a failed one: is another unfinished?
            return proof._replace(task_before=found)
    return _after(proof, found)


def _contradicts(claim: Claim, task: Task) -> bool:
    return not task.completed if claim is Claim.ENDED else task.state == "active"


def _after(proof: Proof, found: Task | None) -> Proof | Finding:
    """Return the outcome of the last query."""
    if found is None:
        return Finding(proof.claim, Result.OPEN)
    task_before = proof.task_before
    same = task_before is not None and (found.id, found.created) == (task_before.id, task_before.created)
    if same and (proof.claim is Claim.IDLE or found == task_before):
        return Finding(proof.claim, Result.PROVEN, found)
    if proof.rounds + 1 < ROUNDS:
        return proof._replace(stage=Stage.MIDDLE, task_before=found, rounds=proof.rounds + 1)
    return Finding(proof.claim, Result.OPEN if same else Result.PROVEN, found)
