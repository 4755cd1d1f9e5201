"""Everything that the contract run takes from schemathesis beside its public names.

A test asserts that no other module imports such a name.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import schemathesis

# `schema.parametrize()` builds the same test of a schema's examples, boundaries and random requests, but only
# as items that pytest collects, and the run isn't one. `operation.as_strategy()` has random requests alone.
from schemathesis.generation.hypothesis.builder import (
    HypothesisTestConfig,
    HypothesisTestMode,
    create_test,
)


def make_cases(operation: Any, seed: int, examples: int) -> list[schemathesis.Case[Any]]:
    """Return the requests of all of schemathesis's phases to an operation.

    Args:
        operation: The operation, of a schema that schemathesis loaded.
        seed: What the random requests are drawn by.
        examples: How many of those there are at most.
    """
    cases: list[schemathesis.Case[Any]] = []
    settings = {
        "max_examples": examples,
        "database": None,
        "derandomize": False,
        "deadline": None,
        "phases": [hypothesis.Phase.explicit, hypothesis.Phase.generate],
        "suppress_health_check": list(hypothesis.HealthCheck),
    }
    test = create_test(
        operation=operation,
        test_func=lambda case: cases.append(case),  # noqa: PLW0108 - Hypothesis wants a function of Python.
        config=HypothesisTestConfig(
            project=operation.schema.config,
            modes=list(HypothesisTestMode),
            settings=hypothesis.settings(**settings),  # type: ignore[arg-type]
            # Neither a profile of the tests nor that of CI takes the place of these, and so of the seed.
            explicit_setting_names=set(settings),
            seed=seed,
        ),
    )
    test()
    return cases
