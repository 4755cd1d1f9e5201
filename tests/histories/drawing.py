"""Histories drawn from seeds: a job and its course, faults, and the goal of a wait."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from taskcounts import RetryPolicy
from taskcounts_emulator.faults.malformed import VARIANTS
from taskcounts_rest.contract import VERSIONS

__all__ = ["Act", "History", "draw_history"]

OPERATIONS = ("Job_GetTaskCounts", "Task_List", "Job_Get")

GOALS = (
    *("done",) * 6, *("all-succeeded",) * 3, *("any-failed",) * 2, *("no-active",) * 2,
    "percent=100", "percent=100", "percent=99", "percent=80", "percent=50",
    "count>=1", "count>=5", "succeeded>=3", "failed>=1", "failed>=2", "active>=1", "running>=2",
    "total>=4", "total>=30",
)  # fmt: skip


class Act(NamedTuple):
    """Something that somebody does to a job, or to the service.

    Attributes:
        kind: What; see ``Stage``.
        number: How many tasks, or slots.
        text: Which tasks, or in which way; the beginning of the ids of tasks that are added.
        seconds: How long tasks run that are added; None: as the pool draws it.
        exit_codes: How their runs end.
        fault: A fault's arguments.
    """

    kind: str
    number: int = 1
    text: str = "any"
    seconds: float | None = None
    exit_codes: tuple[int, ...] = ()
    fault: dict[str, Any] = {}  # noqa: RUF012 - never changed.


class History(NamedTuple):
    """A job's history, and the wait for it; times in seconds.

    Attributes:
        seed: What it was drawn from.
        scenario: What the emulator begins with: the pool, the lag, and the job.
        events: What happens when, from the beginning on.
        spite: What happens so long after counts that say that no more than a part of the tasks is left.
        after_all: What happens so long after the job was done for the first time.
        head_start: When the wait begins.
        latency: How long a request takes to the service, or an answer back, at the most.
        slowness: The probability that it takes far longer.
        goal: What is waited for.
        options: The options of the wait.
        retry: The client's retries.
        strict: Whether the client refuses numbers that contradict each other.
        awaits: Whether it is the asynchronous client.
        api_version: The api-version of its requests.
    """

    seed: int
    scenario: dict[str, Any]
    events: list[tuple[float, Act]]
    spite: list[tuple[float, float, Act]]
    after_all: list[tuple[float, Act]]
    head_start: float
    latency: float
    slowness: float
    goal: str
    options: dict[str, Any]
    retry: RetryPolicy
    strict: bool
    awaits: bool
    api_version: str

    @property
    def job_id(self) -> str:
        """The job."""
        return str(self.scenario["jobs"][0]["id"])

    @property
    def lag(self) -> dict[str, Any]:
        """The lag of reported counts."""
        lag: dict[str, Any] = self.scenario["lag"]
        return lag

    @property
    def lies(self) -> bool:
        """True if counts may be reported that were never true, or long ago."""
        changing = {"delay", "miss", "swapActiveRunning", "staleFailures", "freezeAbove"}
        return bool(changing & self.lag.keys()) or any(act.fault.get("kind") == "lag" for act in self.acts)

    @property
    def acts(self) -> list[Act]:
        """All acts of the history, drawn or possible."""
        return [act for *_, act in (*self.events, *self.after_all)] + [act for *_, act in self.spite]


def draw_history(seed: int) -> History:
    """Return the history of a seed, always the same one."""
    chance = random.Random(f"history {seed}")  # noqa: S311 - to be repeated.
    seconds = chance.choice((0.3, 1.0, 3.0, 8.0))
    count = 0 if chance.random() < 0.06 else 1 + int(59 * chance.random() ** 3)
    length = chance.choice((2.0, 10.0, 40.0, 100.0)) * chance.uniform(0.5, 1.5)
    slots = max(1, round(count * seconds / length))
    if chance.random() < 0.04:
        slots = 0
    scenario = {
        "settle": chance.choice((0, 0, 1, 8)),
        "pools": [_pool(chance, slots, seconds)],
        "lag": _lag(chance, count, length),
        "jobs": [_job(chance, seed, count, slots, seconds)],
    }
    history = History(
        seed=seed,
        scenario=scenario,
        events=_events(chance, length, slots),
        spite=_spite(chance, length),
        after_all=[],
        head_start=chance.choice((0.0, 0.0, 1.0, length, 2 * length)),
        latency=chance.choice((0.02, 0.3, 2.0)),
        slowness=chance.choice((0, 0, 0, 0.01, 0.05)),
        goal=chance.choice(GOALS),
        options=_options(chance, length),
        retry=RetryPolicy(max_attempts=chance.choice((1, 2, 4))),
        strict=chance.random() < 0.1,
        awaits=chance.random() < 0.25,
        # Drawn apart, so that a new version changes nothing else in any history.
        api_version=random.Random(f"version {seed}").choice(list(VERSIONS)),  # noqa: S311 - to be repeated.
    )
    trap = chance.choice((None,) * 9 + (_late_tasks,) * 3 + (_one_too_many, _made_up_tasks, _rare_polls))
    return history if trap is None else trap(chance, history)


def _late_tasks(chance: random.Random, history: History) -> History:
    """Return a history in which the job is done, and goes on while counts still say that it is."""
    (job,) = history.scenario["jobs"]
    added = Act(
        "add",
        number=chance.choice((1, 4)),
        # Lists come in the order of ids.
        text=chance.choice(("late", "zz-late")),
        seconds=chance.choice((3, 15, 40)),
        exit_codes=chance.choice(((), (1,))),
    )
    late = chance.choice((added, added, Act("reactivate", number=100, text="failed")))
    lag: dict[str, Any] = {}
    acts: list[tuple[float, Act]] = []
    if chance.random() < 0.5:
        lag = {"delay": chance.choice((4, 12, 30))}
        acts.append((chance.uniform(1, 15), late))
    else:
        acts.append((0, Act("fault", fault={"kind": "lag", "times": chance.choice((3, 10, 100))})))
        acts.append((chance.choice((0.01, 1, 5)), late))
    if chance.random() < 0.2:
        acts.append((acts[-1][0] + chance.uniform(0, 20), Act("delete", number=100)))
    return history._replace(
        scenario={**history.scenario, "lag": lag, "jobs": [{**job, "onAllTasksComplete": "noaction"}]},
        goal=chance.choice(("done", "done", "done", "all-succeeded", "no-active", "percent=100")),
        spite=[],
        after_all=acts,
        options={**history.options, "deadline": 400},
    )


def _rare_polls(chance: random.Random, history: History) -> History:
    """Return a history whose deadline comes long before the next poll would, and soon after its end."""
    (job,) = history.scenario["jobs"]
    deadline = chance.uniform(20, 60)
    return history._replace(
        scenario={**history.scenario, "jobs": [{**job, "tasks": [{"seconds": deadline * chance.random()}]}]},
        head_start=0.0,
        latency=0.02,
        slowness=0,
        options={**history.options, "deadline": deadline, "interval": deadline * chance.uniform(0.4, 2)},
    )


def _one_too_many(chance: random.Random, history: History) -> History:
    """Return a history in which counts that contradict themselves tell of one more completed task."""
    (job,) = history.scenario["jobs"]
    count = sum(task.get("count", 1) for task in job["tasks"])
    fault = {
        "kind": "wrong-shape",
        "variant": "contradiction",
        "operation": "Job_GetTaskCounts",
        "probability": chance.choice((0.3, 0.9)),
    }
    return history._replace(
        scenario={**history.scenario, "lag": {}},
        goal=f"{chance.choice(('total', 'count'))}>={count + 1}",
        events=[(0.0, Act("fault", fault=fault))],
        spite=[],
        strict=False,
    )


def _made_up_tasks(chance: random.Random, history: History) -> History:
    """Return a history in which lists bring tasks whose state and result contradict each other."""
    fault = {
        "kind": "wrong-shape",
        "variant": "contradiction",
        "operation": "Task_List",
        "probability": chance.choice((0.3, 0.9)),
    }
    return history._replace(
        goal=chance.choice(("any-failed", "all-succeeded", "done")),
        events=[*history.events, (0.0, Act("fault", fault=fault))],
    )


def _pool(chance: random.Random, slots: int, seconds: float) -> dict[str, Any]:
    duration: object = seconds
    kind = chance.random()
    if kind < 0.4:
        duration = {"uniform": [0.2 * seconds, 1.8 * seconds]}
    elif kind < 0.7:
        duration = {"exponential": seconds}
    return {
        "id": "pool",
        "slots": slots,
        "preparing": chance.choice((0, 0, 0.5, 5)),
        "duration": duration,
        "failureRate": chance.choice((0, 0, 0, 0.02, 0.2, 0.6)),
        "requeueRate": chance.choice((0, 0, 0.02, 0.2)),
    }


def _job(chance: random.Random, seed: int, count: int, slots: int, seconds: float) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = []
    while count > 0:
        size = min(count, chance.randint(1, 20))
        count -= size
        tasks.append({"count": size})
        kind = chance.random()
        if kind < 0.1:
            tasks[-1] |= {"state": "completed", "result": chance.choice(("success", "success", "failure"))}
        elif kind < 0.2:
            tasks[-1] |= {"seconds": chance.choice((0, 0.01, seconds, 5 * seconds)), "exitCodes": [1, 0]}
        elif kind < 0.3:
            tasks[-1] |= {"requiredSlots": chance.choice((1, 2, min(256, slots + 1)))}
    if tasks and chance.random() < 0.2:
        tasks.append({"id": "first", "seconds": seconds, "exitCodes": [chance.choice((0, 0, 1))]})
        tasks += [{"id": f"then-{each}", "dependsOn": ["first"]} for each in range(chance.randint(1, 3))]
    job: dict[str, Any] = {
        "id": f"history-{seed}",
        "pool": "pool",
        "tasks": tasks,
        "maxTaskRetryCount": chance.choice((0, 0, 1, 2)),
        "maxParallelTasks": chance.choice((-1, -1, -1, 2)),
    }
    if chance.random() < 0.1:
        job["maxSeconds"] = chance.choice((5, 30, 90))
    if chance.random() < 0.15:
        job["onAllTasksComplete"] = "terminatejob"
    return job


def _lag(chance: random.Random, count: int, length: float) -> dict[str, Any]:
    """Return lag switches: mostly none or one, sometimes several."""
    lag: dict[str, Any] = {}
    for _ in range(chance.choice((0, 0, 1, 1, 2))):
        kind = chance.choice(("delay", "delay", "miss", "miss", "swap", "stale", "zero", "freeze"))
        if kind == "delay":
            lag["delay"] = chance.choice((1, 5, length / 2, 40))
        elif kind == "miss":
            lag["miss"] = chance.choice((0.02, 0.1, 0.5, 1))
            if chance.random() < 0.5:
                lag["validation"] = chance.choice((3, 20, 90))
        elif kind == "freeze":
            lag["freezeAbove"] = chance.randint(0, count + 2)
        else:
            switch = {"swap": "swapActiveRunning", "stale": "staleFailures", "zero": "zeroSlots"}[kind]
            lag[switch] = True
    return lag


def _act(chance: random.Random, slots: int) -> Act:
    kind = chance.choice(
        ("add",) * 6 + ("delete", "end") * 2 + ("reactivate",) * 3
        + ("disable", "enable", "terminate-job", "delete-job", "pool")
    )  # fmt: skip
    if kind == "add":
        return Act(
            kind,
            number=chance.choice((1, 1, 3, 12)),
            text=f"late-{chance.getrandbits(32)}",
            seconds=chance.choice((None, None, 0, 0.1, 5, 40)),
            exit_codes=chance.choice(((), (), (0,), (1,))),
        )
    if kind == "disable":
        return Act(kind, text=chance.choice(("requeue", "terminate", "wait")))
    if kind == "pool":
        return Act(kind, number=chance.choice((0, 1, slots + 5)))
    which = {"reactivate": "failed", "end": "unfinished"}.get(kind) or chance.choice(
        ("any", "completed", "unfinished", "failed")
    )
    return Act(kind, number=chance.choice((1, 1, 2, 100)), text=which)


def _events(chance: random.Random, length: float, slots: int) -> list[tuple[float, Act]]:
    events = []
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 4))):
        act, at = _act(chance, slots), chance.uniform(0, 1.6 * length + 5)
        events.append((at, act))
        # What was stopped mostly goes on some time.
        if act.kind == "disable" and chance.random() < 0.7:
            events.append((at + chance.choice((2, 20, 60)), Act("enable")))
        if act.kind == "pool" and chance.random() < 0.7:
            events.append((at + chance.choice((5, 40)), Act("pool", number=slots + 2)))
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        at = chance.choice((0.0, chance.uniform(0, length), length))
        events.append((at, Act("fault", fault=_fault(chance))))
    if chance.random() < 0.05:
        # The service is lost, mostly for a while.
        outage = {"kind": chance.choice(("busy", "reset", "bad-gateway", "internal-error"))}
        at = chance.uniform(0, length)
        events.append((at, Act("fault", fault=outage)))
        if chance.random() < 0.6:
            events.append((at + chance.choice((10, 60)), Act("calm")))
    return events


def _fault(chance: random.Random) -> dict[str, Any]:
    operation = chance.choice((*OPERATIONS, None))
    kind = chance.choice((
        "throttled", "busy", "internal-error", "bad-gateway", "unknown-status", "reset", "drip", "truncate",
        "lag", *("wrong-shape",) * 6,
    ))  # fmt: skip
    fault: dict[str, Any] = {"kind": kind, "operation": operation}
    if kind in ("throttled", "busy") and chance.random() < 0.7:
        fault["retry_after"] = chance.choice((0, 1, 7, 30))
    elif kind == "reset":
        fault["applied"] = chance.random() < 0.5
    elif kind == "drip":
        fault["interval"] = 0
        fault["times"] = 1
    elif kind == "lag":
        fault["operation"] = None
    elif kind == "wrong-shape":
        fits = [name for name, known in VARIANTS.items() if operation is None or operation in known]
        fault["variant"] = chance.choice(fits)
        if operation in OPERATIONS[:2] and chance.random() < 0.3:
            # The one that is easily believed.
            fault["variant"] = "contradiction"
    fault["probability"] = chance.choice((0.05, 0.2, 0.4, 0.8))
    if "times" not in fault and chance.random() < 0.5:
        fault["times"] = chance.choice((1, 3, 10))
    return fault


def _spite(chance: random.Random, length: float) -> list[tuple[float, float, Act]]:
    """Return what happens just when counts have said that all is done, or soon will."""
    if chance.random() < 0.5:
        return []
    acts = []
    for number in range(chance.choice((1, 1, 2, 3))):
        act = chance.choice((
            Act("add", text=f"spite-{number}", seconds=chance.choice((0, 0.05, 3, 20))),
            Act("add", text=f"spite-{number}", seconds=20, number=5),
            Act("add", text=f"spite-{number}", seconds=0, exit_codes=(1,)),
            Act("reactivate", number=chance.choice((1, 100)), text="failed"),
            Act("delete", number=chance.choice((1, 100)), text=chance.choice(("any", "failed"))),
            Act("delete", number=100, text="any"),
            Act("terminate-job"),
            Act("delete-job"),
        ))  # fmt: skip
        part = chance.choice((0, 0, 0, 0.3, 1))
        delay = chance.choice((0.0, 0.01, 0.1, 0.5, 2.0, 5.0 if part else 2.0, length if part else 0.5))
        acts.append((part, delay * chance.random(), act))
        if act.kind == "add" and chance.random() < 0.3:
            # From just before on, the counts stand still.
            acts.insert(-1, (part, 0, Act("fault", fault={"kind": "lag"})))
    return acts


def _options(chance: random.Random, length: float) -> dict[str, Any]:
    options: dict[str, Any] = {"deadline": chance.choice((600, 600, 600, 600, 300, chance.uniform(1, 60)))}
    if chance.random() < 0.5:
        options["stall"] = chance.choice((15, 40, 90))
    if chance.random() < 0.35:
        options["interval"] = chance.choice((2, 5, 15)) if length < 30 else chance.choice((5, 15, 40))
    options["max_failures"] = chance.choice((1, 2, 3, 5, 10, 10))
    for name, likely in (("fail_fast", 0.25), ("exact_at_end", 0.25), ("empty_is_done", 0.25)):
        if chance.random() < likely:
            options[name] = True
    return options
