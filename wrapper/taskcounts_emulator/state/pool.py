"""Pools: their task slots, and the random outcome of runs. No I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from taskcounts_emulator import json_reader
from taskcounts_emulator.state.sampling import Distribution, draw, parse_distribution

__all__ = ["ANY", "MAX_POOL_SLOTS", "NO_NODES", "Pool", "Run", "parse_pool"]

# The id of the pool whose settings apply to every pool without its own.
ANY = "*"

# The slots of 10,000 nodes with 256 slots each.
MAX_POOL_SLOTS = 2_560_000

AT_ONCE = Distribution("constant", (0.0,))
DEFAULT_DURATION = Distribution("uniform", (2.0, 10.0))

_POOL_ID = re.compile(rf"\*|{json_reader.PLAIN_ID.pattern}")
_POOL_ID_FORM = "a pool id (1 to 64 letters, digits, '-' and '_') or '*'"

_MEMBERS = ("id", "slots", "preparing", "duration", "failureRate", "requeueRate")


@dataclass(frozen=True, slots=True)
class Run:
    """The outcome of one run of a task.

    Attributes:
        preparing: Seconds of preparation.
        seconds: Seconds of running.
        exit_code: The exit code; None if the run was stopped or its node was lost.
        requeued: Whether its node was lost.
    """

    preparing: float
    seconds: float
    exit_code: int | None
    requeued: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool of nodes.

    Attributes:
        id: The id, or ``*`` for every pool that is not described itself.
        slots: The number of task slots of all its nodes.
        preparing: The distribution of times of preparation.
        duration: The distribution of times of runs.
        failure_rate: The probability that a run ends with exit code 1.
        requeue_rate: The probability that a run loses its node and the task is requeued.
    """

    id: str
    slots: int
    preparing: Distribution = AT_ONCE
    duration: Distribution = DEFAULT_DURATION
    failure_rate: float = 0.0
    requeue_rate: float = 0.0

    def run(
        self,
        seed: int,
        job_id: str,
        task_id: str,
        number: int,
        *,
        seconds: float | None = None,
        exit_codes: tuple[int, ...] = (),
        ended: int = 1,
        max_seconds: float | None = None,
    ) -> Run:
        """Return the outcome of a run of a task, which is always the same for the same arguments.

        Args:
            seed: The seed.
            job_id: The job's id.
            task_id: The task's id.
            number: The number of the run, from 1.
            seconds: The duration of the run, if it is fixed.
            exit_codes: The exit codes of runs in order, the last one repeating, if they are fixed.
            ended: The number of the run among those that end, from 1.
            max_seconds: The time after which the run is stopped.
        """

        def chance(purpose: str) -> float:
            return draw(seed, purpose, job_id.lower(), task_id.lower(), number)

        takes = self.duration.quantile(chance("duration")) if seconds is None else seconds
        # Draws are independent, so one is skipped where its result cannot matter.
        requeued = self.requeue_rate > 0 and chance("requeue") < self.requeue_rate
        if exit_codes:
            exit_code: int | None = exit_codes[min(ended, len(exit_codes)) - 1]
        else:
            exit_code = int(self.failure_rate > 0 and chance("failure") < self.failure_rate)
        if requeued:
            takes, exit_code = takes * chance("when"), None
        if max_seconds is not None and takes > max_seconds:
            takes, exit_code, requeued = max_seconds, None, False
        preparing = 0.0 if self.preparing is AT_ONCE else self.preparing.quantile(chance("preparing"))
        return Run(preparing, takes, exit_code, requeued)

    def as_text(self) -> str:
        """Return the pool in the form of ``stored_pool``."""
        members = {
            "id": self.id,
            "slots": self.slots,
            "preparing": self.preparing.as_json(),
            "duration": self.duration.as_json(),
            "failureRate": self.failure_rate,
            "requeueRate": self.requeue_rate,
        }
        return json.dumps(members)


# The pool of jobs whose pool is not described: as in the service, their tasks wait for it.
NO_NODES = Pool(ANY, 0)


def parse_pool(document: object, path: str) -> Pool:
    """Return a pool from JSON.

    Raises:
        EmulatorError: The pool is invalid. The message names the member.
    """
    given = json_reader.members(document, path, _MEMBERS, ("id", "slots"))
    return Pool(
        json_reader.matching(given["id"], f"{path}.id", _POOL_ID, _POOL_ID_FORM),
        json_reader.whole_number(given["slots"], f"{path}.slots", 0, MAX_POOL_SLOTS),
        parse_distribution(given["preparing"], f"{path}.preparing") if "preparing" in given else AT_ONCE,
        parse_distribution(given["duration"], f"{path}.duration")
        if "duration" in given
        else DEFAULT_DURATION,
        json_reader.number(given.get("failureRate", 0), f"{path}.failureRate", 0, 1),
        json_reader.number(given.get("requeueRate", 0), f"{path}.requeueRate", 0, 1),
    )


def stored_pool(behaviour: str) -> Pool:
    """Return the pool of a stored text."""
    return parse_pool(json.loads(behaviour), "pool")
