"""Hypothesis strategies: jobs, tasks, pools and lags of emulated worlds, of few ids, so that they meet."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from taskcounts_emulator.model import NewTask, TaskState
from taskcounts_emulator.state.lag import LagModel
from taskcounts_emulator.state.pool import Pool
from taskcounts_emulator.state.sampling import Distribution

# In both cases, since those are one id.
job_ids = st.sampled_from(["a", "b", "B", "c"])
# Which of those that are there, and now and then one that is not.
which = st.integers(0, 15)
pauses = st.integers(0, 3)
task_ids = st.sampled_from(["1", "2", "3", "x", "X", "y", "z"])


def new_task(**members: Any) -> NewTask:
    """Return a task; from the type itself, Hypothesis would invent the missing members."""
    return NewTask(**members)


new_tasks = st.builds(
    new_task,
    id=task_ids,
    slots=st.integers(1, 4),
    state=st.sampled_from(
        [TaskState.ACTIVE] * 6 + [TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED]
    ),
    depends_on=st.lists(task_ids, max_size=2).map(tuple),
    seconds=st.integers(1, 6),
    exit_codes=st.sampled_from([(0,), (0,), (1, 0), (2,), (1, 1, 0)]),
)
collections = st.lists(new_tasks, max_size=5)
jobs: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "job_id": job_ids,
        "tasks": st.lists(new_tasks, min_size=2, max_size=6, unique_by=lambda task: task.id.lower()),
        "pool": st.sampled_from(["p", "p", "q", None]),
        "priority": st.integers(-1, 1),
        "max_parallel": st.sampled_from([-1, -1, 0, 1, 2]),
        "max_retries": st.integers(0, 2),
        "max_seconds": st.sampled_from([None] * 6 + [0, 9, 20]),
        "ends": st.sampled_from([False, False, False, True]),
    }
)
delayed = st.builds(LagModel, delay=st.integers(1, 8))
lags = st.builds(
    LagModel,
    delay=st.sampled_from([0, 3]),
    miss=st.sampled_from([0.2, 0.7, 1.0]),
    validation=st.sampled_from([1, 5, 7.5]),
    stale_failures=st.booleans(),
    zero_slots=st.booleans(),
)
random_pools = st.builds(
    Pool,
    st.just("p"),
    st.integers(1, 4),
    st.sampled_from([Distribution("constant", (0.0,)), Distribution("uniform", (0.0, 1.0))]),
    st.sampled_from([Distribution("exponential", (1.0,)), Distribution("lognormal", (1.0, 1.0))]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([0.0, 0.3]),
)
