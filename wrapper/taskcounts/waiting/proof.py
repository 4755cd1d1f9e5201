"""Trials: a few looks, one after the other, that prove a claim about a job or refute it. Pure.

Two looks are made at two moments, and tasks come, go and move in between. So a trial of "all is done"
holds the deciding look between two others: a task is there before and after, completed, and meanwhile
no task is unfinished. At the moment of the query in the middle the job then was done, and had a task.
That holds however much time passes in between, so a trial goes on where a question without an answer
broke it off.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from taskcounts.waiting.queries import Task

# Lists have no documented order: if another task comes each time, so many rounds are enough.
ROUNDS = 3


class Claim(StrEnum):
    """What can be proven by looks."""

    ENDED = "ended"
    """There are tasks, and all of them are completed."""
    IDLE = "idle"
    """There are tasks, and none of them is active."""
    FAILED = "failed"
    """A task failed."""


class Stage(StrEnum):
    """How far a trial is."""

    FIRST = "first"
    """One look that refutes at the least cost."""
    BEFORE = "before"
    """Is there a task at all, and does it speak against the claim?"""
    MIDDLE = "middle"
    """Is there a task that speaks against the claim?"""
    AFTER = "after"
    """Is the task of before still there?"""


class Proof(NamedTuple):
    """A claim, and how far its proof is.

    Attributes:
        claim: What is to be proven.
        stage: Which look comes next.
        task_before: A task that the look before found; it doesn't speak against the claim.
        rounds: How many times another task was there after than before.
    """

    claim: Claim
    stage: Stage
    task_before: Task | None = None
    rounds: int = 0

    @property
    def query(self) -> str:
        """What to look for next."""
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
    """How a trial can end."""

    PROVEN = "proven"
    REFUTED = "refuted"
    EMPTY = "empty"
    """The job has no task."""
    OPEN = "open"
    """Tasks came or went while it was looked."""


class Finding(NamedTuple):
    """What a trial came to.

    Attributes:
        claim: What was to be proven.
        result: Whether it was.
        task: The task that proves or refutes it; a failed one if there is one.
    """

    claim: Claim
    result: Result
    task: Task | None = None


def begin_proof(claim: Claim, *, likely: bool) -> Proof:
    """Return a new trial; of what isn't likely, the first query is the one that refutes at the least cost."""
    if claim is Claim.FAILED or not likely:
        return Proof(claim, Stage.FIRST)
    return Proof(claim, Stage.BEFORE)


def advance(proof: Proof, found: Task | None) -> Proof | Finding:  # noqa: PLR0911 - a line for each case.
    """Return how a trial goes on after its look found a task or none, or what it came to."""
    claim = proof.claim
    if claim is Claim.FAILED:
        return Finding(claim, Result.PROVEN if found else Result.REFUTED, found)
    if found is not None and _speaks_against(claim, found):
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
            # Queried for unfinished or failed ones, and one failed: are there unfinished ones besides?
            return proof._replace(task_before=found)
    return _after(proof, found)


def _speaks_against(claim: Claim, task: Task) -> bool:
    return not task.completed if claim is Claim.ENDED else task.state == "active"


def _after(proof: Proof, found: Task | None) -> Proof | Finding:
    """Return what the last look comes to."""
    if found is None:
        return Finding(proof.claim, Result.OPEN)
    task_before = proof.task_before
    same = task_before is not None and (found.id, found.created) == (task_before.id, task_before.created)
    if same and (proof.claim is Claim.IDLE or found == task_before):
        return Finding(proof.claim, Result.PROVEN, found)
    if proof.rounds + 1 < ROUNDS:
        return proof._replace(stage=Stage.MIDDLE, task_before=found, rounds=proof.rounds + 1)
    return Finding(proof.claim, Result.OPEN if same else Result.PROVEN, found)
