"""Renewal after a fork: a child process must not share locks, counts and connections with its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """An object that is renewed in a child process."""

    def renew(self) -> None:
        """Drop the state of the parent's threads, which the child doesn't have."""
        ...


_renewables: WeakSet[Renewable] = WeakSet()


def renew_after_fork(each: Renewable) -> None:
    """Register an object to be renewed in every child, before the caller's code runs there.

    The registration doesn't keep the object alive.
    """
    _renewables.add(each)


def _renew_all() -> None:
    for each in list(_renewables):
        each.renew()


# Windows has no forks.
getattr(os, "register_at_fork", dict)(after_in_child=_renew_all)
