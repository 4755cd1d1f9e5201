"""Exact counts: all tasks of a job, page after page, counted one by one in constant memory."""

from __future__ import annotations

from collections.abc import Callable

from taskcounts._steps import Exchange, Question, Settings
from taskcounts.snapshot import Snapshot


def exact_counts(
    settings: Settings, question: Question, progress: Callable[[int], object] | None = None
) -> Exchange[Snapshot]:
    """List all tasks and return their counts."""
    raise NotImplementedError
    yield


def verified_counts(settings: Settings, question: Question) -> Exchange[Snapshot]:
    """Return the reported counts, with what an exact count says against them."""
    raise NotImplementedError
    yield
