"""Snapshots: one observation of a job's counts, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NoReturn, Self

from attrs import field, frozen

__all__ = ["Inconsistency", "Snapshot", "TaskCounts", "TaskSlotCounts"]


# The depth to which objects and arrays may be nested: deeper ones could not be written and compared.
MAX_DEPTH = 100

# Immutable types, which nearly all members have.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class FrozenMapping(Mapping[str, Any]):
    """A read-only mapping of the members of a JSON object; objects in it are likewise, arrays are tuples."""

    __slots__ = ("_members",)
    _members: Mapping[str, Any]

    def __init__(self, members: Mapping[str, Any], room: int = MAX_DEPTH - 1) -> None:
        """Copy the members.

        Args:
            members: The members.
            room: The depth to which values in them may be nested.

        Raises:
            ValueError: The values are nested deeper.
        """
        frozen_members = {
            name: value if type(value) in _PLAIN else _freeze(value, room) for name, value in members.items()
        }
        object.__setattr__(self, "_members", MappingProxyType(frozen_members))

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __hash__(self) -> int:
        return hash(frozenset(self._members.items()))

    def __repr__(self) -> str:
        # The members may be long, and come from outside.
        return f"<{len(self)} members>"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    __delattr__ = __setattr__  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        return type(self), (dict(self._members),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the members as a new dict, with objects as dicts and arrays as lists."""
        return {name: _thaw(value) for name, value in self._members.items()}


def _freeze(value: Any, room: int) -> Any:
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if value and room == 1:
        raise ValueError("it is nested too deeply")
    if isinstance(value, Mapping):
        return FrozenMapping(value, room - 1)
    return tuple([_freeze(item, room - 1) for item in value])


def _freeze_mapping(members: Mapping[str, Any]) -> FrozenMapping:
    return members if type(members) is FrozenMapping else FrozenMapping(members)


def _thaw(value: Any) -> Any:
    if isinstance(value, FrozenMapping):
        return value.to_dict()
    return list(map(_thaw, value)) if isinstance(value, tuple) else value


_NONE = FrozenMapping({})


@frozen
class Inconsistency:
    """A contradiction in an answer, or another reason to doubt its numbers.

    Attributes:
        invariant: The name of an invariant in the fragment, such as ``task-counts-completed``; or
            ``echo``, ``request-id`` or ``age`` for an answer that may belong to another request, come from
            another server or from a cache.
        path: The member at fault, such as ``taskCounts.completed``, or the header.
        text: The contradiction, in one line for people.
    """

    invariant: str
    path: str
    text: str


_COUNTERS = frozenset({"active", "running", "completed", "succeeded", "failed"})


@frozen
class _Counts:
    active: int
    running: int
    completed: int
    succeeded: int
    failed: int
    additional_properties: FrozenMapping = field(
        default=_NONE, converter=_freeze_mapping, kw_only=True, hash=False, repr=False
    )

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Self:
        """Return the counts of a JSON object, with its other members as additional properties."""
        active, running, completed = members["active"], members["running"], members["completed"]
        succeeded, failed = members["succeeded"], members["failed"]
        if len(members) == 5:
            return cls(active, running, completed, succeeded, failed)
        others = {name: value for name, value in members.items() if name not in _COUNTERS}
        return cls(active, running, completed, succeeded, failed, additional_properties=others)

    def to_dict(self) -> dict[str, Any]:
        """Return the counts and the additional properties as a dict for JSON."""
        return self.additional_properties.to_dict() | {
            "active": self.active,
            "running": self.running,
            "completed": self.completed,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }


class TaskCounts(_Counts):
    """The numbers of a job's tasks in each state.

    Attributes:
        active: Tasks that wait for a node, or for the tasks that they depend on.
        running: Tasks that run on a node or are being prepared there.
        completed: Tasks that ended with success, or with failure and no retry left.
        succeeded: Completed tasks whose result is success.
        failed: Completed tasks whose result is failure.
        additional_properties: Members that the service's description doesn't name, read-only.
    """

    __slots__ = ()


class TaskSlotCounts(_Counts):
    """The numbers of task slots of a job's tasks in each state.

    Attributes:
        active: Slots of the active tasks.
        running: Slots of the running tasks.
        completed: Slots of the completed tasks.
        succeeded: Slots of the succeeded tasks.
        failed: Slots of the failed tasks.
        additional_properties: Members that the service's description doesn't name, read-only.
    """

    __slots__ = ()


@frozen(kw_only=True)
class Snapshot:
    """The counts of a job as the service reported them at one moment, or as a list of its tasks gave them.

    The service counts in the background: the numbers may lag by seconds or more, and can go down when tasks
    are reactivated or deleted. One snapshot never proves that a job is done. An exact snapshot was counted
    task by task; since listing several pages takes a while, it covers a span of time.

    Attributes:
        job_id: The job, as the caller wrote it.
        task_counts: The numbers of tasks that are active, running, completed, succeeded, failed.
        task_slot_counts: The same in task slots. The service doesn't keep them in step with ``task_counts``.
        observed_at: The time at which the answer, or the last page of a list, came; UTC by this machine's
            clock.
        request_id: The service's id of the request, or of that for a list's last page; None if the answer had
            none.
        client_request_id: The GUID of the request, or of that for a list's first page.
        attempts: The number of requests that it took, from 1.
        inconsistencies: The reasons to doubt the numbers: invariants that they break, signs that the answer
            isn't ours or isn't fresh, ``listed-twice`` for a list that changed while it was read, and
            ``verified`` for counts that a list contradicts. Usually empty; if not, rely on none of the
            numbers.
        additional_properties: Members of the answer that the service's description doesn't name, in a
            read-only mapping; objects in it are likewise, arrays are tuples.
        exact: Whether the tasks were listed and counted one by one.
        began_at: The time at which an exact count began, in UTC by this machine's clock; None for other
            counts.
        listed: The exact count that these counts were compared with, None without one.
        api_version: The api-version of the request; None if a recording lacks it.
    """

    job_id: str
    task_counts: TaskCounts
    task_slot_counts: TaskSlotCounts
    observed_at: datetime
    request_id: str | None
    client_request_id: str
    attempts: int
    inconsistencies: tuple[Inconsistency, ...] = ()
    additional_properties: FrozenMapping = field(default=_NONE, converter=_freeze_mapping, hash=False)
    exact: bool = False
    began_at: datetime | None = None
    listed: Snapshot | None = None
    api_version: str | None = None

    @property
    def total(self) -> int:
        """The number of the job's tasks: active, running and completed."""
        return self.task_counts.active + self.task_counts.running + self.task_counts.completed

    @property
    def completed(self) -> int:
        """The number of completed tasks."""
        return self.task_counts.completed

    @property
    def percent(self) -> float | None:
        """The percentage of completed tasks, 0 to 100; None for a job without tasks."""
        return 100 * self.completed / self.total if self.total else None
