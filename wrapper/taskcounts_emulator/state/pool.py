"""A pool: how many task slots there are, and how tasks fare on its nodes. Values and draws; no I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from taskcounts_emulator import json_reader
from taskcounts_emulator.state.sampling import Distribution, draw, parse_distribution

__all__ = ["ANY", "MAX_POOL_SLOTS", "NO_NODES", "Pool", "Run", "parse_pool"]

# The id of the pool whose settings every pool has that has none of its own.
ANY = "*"

# As many as 10,000 nodes of 256 slots.
MAX_POOL_SLOTS = 2_560_000

AT_ONCE = Distribution("constant", (0.0,))
DEFAULT_DURATION = Distribution("uniform", (2.0, 10.0))

_POOL_ID = re.compile(rf"\*|{json_reader.PLAIN_ID.pattern}")
_POOL_ID_FORM = "a pool id (1 to 64 letters, digits, '-' and '_') or '*'"

_MEMBERS = ("id", "slots", "preparing", "duration", "failureRate", "requeueRate")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a task will be.

    Attributes:
        preparing: Seconds before it runs.
        seconds: Seconds that it runs.
        exit_code: How it ends; None if it does not end: it was stopped, or its node was lost.
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
        id: Its id, or ``*`` for every pool that is not described itself.
        slots: How many task slots its nodes have together.
        preparing: How long a task is prepared.
        duration: How long a task runs.
        failure_rate: The probability that a run ends with exit code 1.
        requeue_rate: The probability that a run loses its node, and the task waits again.
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
        """Return what a run of a task will be: the same whenever it is asked for.

        Args:
            seed: The seed.
            job_id: The job's id.
            task_id: The task's id.
            number: Which of the task's runs it is, from 1.
            seconds: How long the task runs, if that is settled.
            exit_codes: How its runs end, the last one for ever, if that is settled.
            ended: Which of them this would be, from 1.
            max_seconds: After this it is stopped.
        """

        def chance(purpose: str) -> float:
            return draw(seed, purpose, job_id.lower(), task_id.lower(), number)

        takes = self.duration.at(chance("duration")) if seconds is None else seconds
        # Drawn only where there is a chance: each draw costs, and none depends on another.
        requeued = self.requeue_rate > 0 and chance("requeue") < self.requeue_rate
        if exit_codes:
            exit_code: int | None = exit_codes[min(ended, len(exit_codes)) - 1]
        else:
            exit_code = int(self.failure_rate > 0 and chance("failure") < self.failure_rate)
        if requeued:
            takes, exit_code = takes * chance("when"), None
        if max_seconds is not None and takes > max_seconds:
            takes, exit_code, requeued = max_seconds, None, False
        preparing = 0.0 if self.preparing is AT_ONCE else self.preparing.at(chance("preparing"))
        return Run(preparing, takes, exit_code, requeued)

    def as_text(self) -> str:
        """Return what ``stored_pool`` takes."""
        members = {
            "id": self.id,
            "slots": self.slots,
            "preparing": self.preparing.as_json(),
            "duration": self.duration.as_json(),
            "failureRate": self.failure_rate,
            "requeueRate": self.requeue_rate,
        }
        return json.dumps(members)


# What becomes of a job whose pool nobody described: as in the service, its tasks wait for the pool.
NO_NODES = Pool(ANY, 0)


def parse_pool(document: object, path: str) -> Pool:
    """Return a pool from JSON.

    Raises:
        EmulatorError: It is none. The message names the member.
    """
    given = json_reader.members(document, path, _MEMBERS, ("id", "slots"))
    return Pool(
        json_reader.matching(
            given["id"], f"{path}.id", _POOL_ID, "a pool id (1 to 64 letters, digits, '-' and '_') or '*'"
        ),
        json_reader.whole_number(given["slots"], f"{path}.slots", 0, MAX_POOL_SLOTS),
        parse_distribution(given["preparing"], f"{path}.preparing") if "preparing" in given else AT_ONCE,
        parse_distribution(given["duration"], f"{path}.duration")
        if "duration" in given
        else DEFAULT_DURATION,
        json_reader.number(given.get("failureRate", 0), f"{path}.failureRate", 0, 1),
        json_reader.number(given.get("requeueRate", 0), f"{path}.requeueRate", 0, 1),
    )


def stored_pool(behaviour: str) -> Pool:
    """Return the pool that a store kept."""
    return parse_pool(json.loads(behaviour), "pool")
