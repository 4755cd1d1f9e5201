"""What one answer says of a job: one observation of its counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NoReturn, Self

from attrs import field, frozen

__all__ = ["Inconsistency", "Snapshot", "TaskCounts", "TaskSlotCounts"]


# How deep objects and arrays may be nested in all: they have to be written and compared.
MAX_DEPTH = 100

# What can't be changed anyway, which nearly all members are.
_PLAIN = frozenset({str, int, float, bool, type(None)})


class FrozenMapping(Mapping[str, Any]):
    """The members of a JSON object, which can't be changed: in it, objects are like it, and arrays tuples."""

    __slots__ = ("_members",)
    _members: Mapping[str, Any]

    def __init__(self, members: Mapping[str, Any], room: int = MAX_DEPTH - 1) -> None:
        """Take members as they are now.

        Args:
            members: The members.
            room: How deep there may be others in them.

        Raises:
            ValueError: They are nested deeper.
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
        # What they hold may be long, and comes from outside.
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
        """Return them as JSON has them: dicts and lists, which are the caller's own."""
        return {name: _thaw(value) for name, value in self._members.items()}


def _freeze(value: Any, room: int) -> Any:
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if value and room == 1:
        raise ValueError("it is nested too deep")
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
    """Something about an answer that speaks against its numbers.

    Attributes:
        invariant: The name of an invariant in the fragment, such as ``task-counts-completed``; or
            ``echo``, ``request-id`` or ``age`` for an answer that may not be the service's to our
            request, or not of now.
        path: The member at fault, such as ``taskCounts.completed``, or the header.
        text: What is wrong, in one line for people.
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
        """Return the counts of a JSON object; what it has besides them is kept."""
        active, running, completed = members["active"], members["running"], members["completed"]
        succeeded, failed = members["succeeded"], members["failed"]
        if len(members) == 5:
            return cls(active, running, completed, succeeded, failed)
        others = {name: value for name, value in members.items() if name not in _COUNTERS}
        return cls(active, running, completed, succeeded, failed, additional_properties=others)

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON has them, with what else came."""
        return self.additional_properties.to_dict() | {
            "active": self.active,
            "running": self.running,
            "completed": self.completed,
            "succeeded": self.succeeded,
            "failed": self.failed,
        }


class TaskCounts(_Counts):
    """How many tasks of a job are in each state.

    Attributes:
        active: Tasks that wait for a node, or for the tasks that they depend on.
        running: Tasks that run on a node or are being prepared there.
        completed: Tasks that ended, with success or with failure and no retry left.
        succeeded: Completed tasks whose result is success.
        failed: Completed tasks whose result is failure.
        additional_properties: Members that the service's description doesn't name, read-only.
    """

    __slots__ = ()


class TaskSlotCounts(_Counts):
    """How many task slots the tasks of a job need that are in each state.

    Attributes:
        active: Slots that the active tasks need.
        running: Slots that the running tasks have.
        completed: Slots that the completed tasks had.
        succeeded: Slots of the tasks that succeeded.
        failed: Slots of the tasks that failed.
        additional_properties: Members that the service's description doesn't name, read-only.
    """

    __slots__ = ()


@frozen(kw_only=True)
class Snapshot:
    """The counts of a job as the service told them at one moment, or as a list of its tasks gave them.

    The service counts in the background: the numbers may trail the truth by seconds or more,
    and can go down when tasks are reactivated or deleted. One snapshot never proves a job done.
    An exact one was counted task by task; as a list of several pages takes a while, it is of a
    span of time.

    Attributes:
        job_id: The job, as it was asked for.
        task_counts: Tasks that are active, running, completed, succeeded, failed.
        task_slot_counts: The same in task slots. The service doesn't keep it in step with ``task_counts``.
        observed_at: When the answer came, or the last page of a list, in UTC, by this machine's clock.
        request_id: The service's id of the request, None if the answer had none; of a list, the last page's.
        client_request_id: Our GUID of the request; of a list, the first page's.
        attempts: How many requests it took, from 1.
        inconsistencies: What speaks against the numbers: invariants that they break, and signs that
            the answer isn't ours or isn't fresh; ``listed-twice`` for a list that changed while it
            was read, ``verified`` for counts that a list contradicts.
            Empty is the rule; otherwise don't rely on any of them.
        additional_properties: Members of the answer that its description doesn't name, as they came, in a
            read-only mapping; objects in it are likewise, arrays are tuples.
        exact: Whether the tasks were listed and counted one by one.
        began_at: When an exact count began, in UTC, by this machine's clock; None for another.
        listed: The exact count that these counts were compared with, None if they weren't.
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

    @property
    def total(self) -> int:
        """How many tasks the job has: active, running and completed."""
        return self.task_counts.active + self.task_counts.running + self.task_counts.completed

    @property
    def completed(self) -> int:
        """How many tasks are completed."""
        return self.task_counts.completed

    @property
    def percent(self) -> float | None:
        """Which part of the tasks is completed, 0 to 100; None for a job without tasks."""
        return 100 * self.completed / self.total if self.total else None
