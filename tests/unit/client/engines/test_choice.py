"""Which engine a client takes, and how it is told."""

import subprocess
import sys
from typing import Any

import httptools
import httpx
import pytest

from support import ENDPOINT, KEY, Call, Script, answer
from taskcounts import AsyncTaskCountsClient, TaskCountsClient
from taskcounts.engines import default_engine

CLIENTS = [TaskCountsClient, AsyncTaskCountsClient]


@pytest.fixture
def without_httptools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httptools", None)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_fast_one_is_taken(client: Any) -> None:
    """Where httptools is installed it is taken, and the client tells so."""
    engine = client(ENDPOINT, KEY).engine
    assert engine.startswith("httptools 0.")
    assert default_engine() == engine


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.usefixtures("without_httptools")
def test_without_the_fast_one(client: Any) -> None:
    """Where it isn't, httpcore is taken; who insists is told what to install."""
    engine = client(ENDPOINT, KEY).engine
    assert engine.startswith("httpcore 1.")
    assert default_engine() == engine
    with pytest.raises(ValueError, match=r"httptools can't be used: .* with its extra 'fast'"):
        client(ENDPOINT, KEY, engine="httptools")


@pytest.mark.parametrize("client", CLIENTS)
def test_switched_off(client: Any) -> None:
    """An argument switches it off."""
    assert client(ENDPOINT, KEY, engine="httpcore").engine.startswith("httpcore 1.")


@pytest.mark.parametrize("version", ["0.6.3", "0.5.9", "0.6.4", "0.10.0", "1.0.0rc1"])
def test_an_old_one(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """One that takes what is no HTTP is as good as none."""
    monkeypatch.setattr(httptools, "__version__", version)
    old = version in ("0.6.3", "0.5.9")
    assert TaskCountsClient(ENDPOINT, KEY).engine.startswith("httpcore") == old
    if old:
        with pytest.raises(ValueError, match=rf"can't be used: {version} is installed, and 0\.6\.4 or later"):
            TaskCountsClient(ENDPOINT, KEY, engine="httptools")


@pytest.mark.parametrize("engine", ["httpx", "", "HTTPTOOLS", None])
def test_engines_that_are_none(engine: Any) -> None:
    """What is no engine is refused, with those that are."""
    with pytest.raises(ValueError, match="give one of 'auto', 'httpcore', 'httptools'"):
        TaskCountsClient(ENDPOINT, KEY, engine=engine)


def test_a_transport_of_the_callers(call: Call) -> None:
    """A transport takes the place of every engine."""
    client = call.client_type(
        ENDPOINT, KEY, transport=httpx.MockTransport(Script(answer())), engine="httptools"
    )
    assert client.engine == "httpx transport"


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import taskcounts", "httpx httpcore h11 asyncio anyio httptools certifi"),
        ("ASK", "httpx asyncio"),
        ("ASK, engine='httpcore'", "httpx asyncio httptools"),
    ],
)
def test_what_is_loaded(program: str, absent: str) -> None:
    """Nothing is loaded that isn't needed: it would cost each process that asks once."""
    ask = (
        "import taskcounts; taskcounts.TaskCountsClient('http://[::1]:9', taskcounts.SharedKey('abc', 'a2V5')"
    )
    program = program.replace("ASK", ask) + (")" if "ASK" in program else "")
    check = f"{program}\nimport sys; print([name for name in {absent.split()} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)  # noqa: S603
    assert run.stdout == "[]\n"
