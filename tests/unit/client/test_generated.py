"""The generated package, and the parts of it that are loaded."""

import subprocess
import sys

import pytest

import taskcounts_rest
import taskcounts_rest.client

# What takes a tenth of a second to load; who only reads answers has no use for it.
SLOW = {"httpx", "httpcore", "h11", "anyio", "asyncio", "taskcounts_rest.client"}


@pytest.mark.parametrize(
    "program",
    [
        "import taskcounts",
        "from taskcounts_rest import contract, models; models.TaskCounts",
        "import taskcounts.exact, taskcounts.waiting.flow, taskcounts.many.job_list",
    ],
)
def test_what_is_loaded(program: str) -> None:
    """Neither the wrapper nor the models load an HTTP library or asyncio."""
    check = f"{program}\nimport sys; print(sorted({SLOW} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("name", taskcounts_rest.__all__)
def test_generated_clients_are_loaded_when_asked_for(name: str) -> None:
    """The generated clients can be had from the package as ever."""
    assert getattr(taskcounts_rest, name) is getattr(taskcounts_rest.client, name)


def test_no_other_names() -> None:
    """An unknown name of the generated package is an AttributeError."""
    with pytest.raises(AttributeError, match="module 'taskcounts_rest' has no attribute 'Clients'"):
        _ = taskcounts_rest.Clients  # type: ignore[attr-defined]
