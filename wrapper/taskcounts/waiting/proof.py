"""Trials: a few looks, one after the other, that prove a claim about a job or refute it. Pure.

Two looks are made at two moments, and tasks come, go and move in between. So a trial of "all is done"
holds the deciding look between two others: a task is there before and after, completed, and meanwhile
no task is unfinished. At the moment of the look in the middle the job then was done, and had a task.
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


class Trial(NamedTuple):
    """A claim, and how far its proof is.

    Attributes:
        claim: What is to be proven.
        stage: Which look comes next.
        witness: A task that the look before found; it doesn't speak against the claim.
        rounds: How many times another task was there after than before.
    """

    claim: Claim
    stage: Stage
    witness: Task | None = None
    rounds: int = 0

    @property
    def look(self) -> str:
        """What to look for next."""
        failed = self.witness is not None and self.witness.failed
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


def begin_trial(claim: Claim, *, likely: bool) -> Trial:
    """Return a new trial; of what isn't likely, the first look is the one that refutes at the least cost."""
    if claim is Claim.FAILED or not likely:
        return Trial(claim, Stage.FIRST)
    return Trial(claim, Stage.BEFORE)


def weigh(trial: Trial, found: Task | None) -> Trial | Finding:  # noqa: PLR0911 - a line for each case.
    """Return how a trial goes on after its look found a task or none, or what it came to."""
    claim = trial.claim
    if claim is Claim.FAILED:
        return Finding(claim, Result.PROVEN if found else Result.REFUTED, found)
    if found is not None and _speaks_against(claim, found):
        return Finding(claim, Result.REFUTED, found)
    match trial.stage:
        case Stage.FIRST:
            return trial._replace(stage=Stage.BEFORE)
        case Stage.BEFORE if found is None:
            return Finding(claim, Result.EMPTY)
        case Stage.BEFORE:
            return trial._replace(stage=Stage.MIDDLE, witness=found)
        case Stage.MIDDLE if found is None:
            return trial._replace(stage=Stage.AFTER)
        case Stage.MIDDLE:
            # Looked for unfinished or failed ones, and one failed: are there unfinished ones besides?
            return trial._replace(witness=found)
    return _after(trial, found)


def _speaks_against(claim: Claim, task: Task) -> bool:
    return not task.completed if claim is Claim.ENDED else task.state == "active"


def _after(trial: Trial, found: Task | None) -> Trial | Finding:
    """Return what the last look comes to."""
    if found is None:
        return Finding(trial.claim, Result.OPEN)
    witness = trial.witness
    same = witness is not None and (found.id, found.created) == (witness.id, witness.created)
    if same and (trial.claim is Claim.IDLE or found == witness):
        return Finding(trial.claim, Result.PROVEN, found)
    if trial.rounds + 1 < ROUNDS:
        return trial._replace(stage=Stage.MIDDLE, witness=found, rounds=trial.rounds + 1)
    return Finding(trial.claim, Result.OPEN if same else Result.PROVEN, found)
