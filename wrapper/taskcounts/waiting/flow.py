"""Runs a wait as a flow: asks what the decisions want to know, and tells the observer."""

from __future__ import annotations

from taskcounts._steps import Exchange, Question, Settings
from taskcounts.waiting.plan import Plan
from taskcounts.waiting.values import Observer, Verdict


def wait(
    settings: Settings, question: Question, plan: Plan, observer: Observer | None, *, check: bool
) -> Exchange[Verdict]:
    """Ask until there is a verdict; return it, or raise WaitFailed if it is to be checked."""
    raise NotImplementedError
    yield
