"""Snapshots and errors as JSON objects."""

from __future__ import annotations

import json
import math

from taskcounts_cli.output.records import dumps


def test_numbers_that_json_does_not_know() -> None:
    """A number that isn't finite is null at any depth, and the rest is unchanged."""
    value = {"a": [math.inf, 1.5, "x"], "b": {"c": math.nan}, "d": (1, -math.inf)}
    assert json.loads(dumps(value)) == {"a": [None, 1.5, "x"], "b": {"c": None}, "d": [1, None]}
