"""What a forked process must not share with the one before: locks, counts and connections."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something that a child process begins anew."""

    def renew(self) -> None:
        """Forget what belongs to the threads of the parent, which the child doesn't have."""
        ...


_renewables: WeakSet[Renewable] = WeakSet()


def renew_after_fork(each: Renewable) -> None:
    """Have ``each`` renewed in every child, before any code of a caller runs there, while it is alive."""
    _renewables.add(each)


def _renew_all() -> None:
    for each in list(_renewables):
        each.renew()


# Windows has no forks.
getattr(os, "register_at_fork", dict)(after_in_child=_renew_all)
