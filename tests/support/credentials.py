"""Tests of token credentials with either client, and the tokens that were sent."""

from __future__ import annotations

import pytest

from support.answers import Script


def each_credential(sync: list[type], awaiting: list[type]) -> pytest.MarkDecorator:
    """Return a mark for one test run for each credential, with the clients that take it."""
    cases = [("sync", kind) for kind in sync] + [("async", kind) for kind in awaiting]
    ids = [f"{name}-{kind.__name__}" for name, kind in cases]
    return pytest.mark.parametrize(("call", "kind"), cases, ids=ids, indirect=["call"])


def sent(script: Script) -> list[str]:
    """Return the tokens of all requests."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in script.requests]
