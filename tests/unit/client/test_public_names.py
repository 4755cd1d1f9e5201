"""The public names, and the modules that importing them loads."""

import inspect
import subprocess
import sys

import pytest

import taskcounts

# Packages that only the command line, the emulator or tests may need.
EXTRAS = {"click", "rich", "starlette", "uvicorn", "azure", "sqlite3"}


@pytest.mark.parametrize("name", taskcounts.__all__)
def test_public_names(name: str) -> None:
    """Every public name exists and, but for the version, is documented where it is defined."""
    value = getattr(taskcounts, name)
    assert name == "__version__" or inspect.getdoc(value) or name in ("Credential", "Observer")


def test_public_names_are_sorted_and_whole() -> None:
    """All that the package's own modules export can be had from the package."""
    assert taskcounts.__all__ == sorted(taskcounts.__all__)
    from taskcounts import client, credentials, errors, many, retry, snapshot, waiting

    own = (client, credentials, errors, retry, snapshot, many.values, waiting.values)
    exported = {name for module in own for name in module.__all__}
    assert exported - {"scope_for"} <= set(taskcounts.__all__)


def test_public_names_are_listed() -> None:
    """Names that are loaded on first use are listed, also before that."""
    assert set(taskcounts.__all__) <= set(dir(taskcounts))
    program = "import taskcounts; assert set(taskcounts.__all__) <= set(dir(taskcounts))"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)  # noqa: S603


def test_public_methods_are_documented() -> None:
    """Every public method and property of a public class has a docstring."""
    bare = [
        f"{name}.{member}"
        for name in taskcounts.__all__
        if inspect.isclass(kind := getattr(taskcounts, name)) and kind.__module__.startswith("taskcounts.")
        for member, value in inspect.getmembers(kind)
        if not member.startswith("_") and (callable(value) or isinstance(value, property))
        if member not in ("add_note", "with_traceback") and not inspect.getdoc(value)
    ]
    assert bare == []


def test_import_alone_loads_no_extras() -> None:
    """`import taskcounts` works where none of the extras is installed, and loads none."""
    # httpx itself loads click and rich, if it finds them.
    program = f"import sys; sys.modules |= dict.fromkeys({sorted(EXTRAS)}); import taskcounts"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)  # noqa: S603
