"""Which engine a client takes, and how it is told."""

import ssl
import subprocess
import sys
from typing import Any

import httpx
import pycurl
import pytest

from support import ENDPOINT, KEY, Authority, Call, Script, answer
from taskcounts import AsyncTaskCountsClient, TaskCountsClient
from taskcounts.engines import default_engine

CLIENTS = [TaskCountsClient, AsyncTaskCountsClient]


@pytest.fixture
def without_pycurl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycurl", None)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_fast_one_is_taken(client: Any) -> None:
    """Where pycurl is installed it is taken, and the client tells so."""
    engine = client(ENDPOINT, KEY).engine
    assert engine.startswith("pycurl 7.")
    assert "(libcurl " in engine
    assert default_engine() == engine


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.usefixtures("without_pycurl")
def test_without_the_fast_one(client: Any) -> None:
    """Where it isn't, httpcore is taken; who insists is told what to install."""
    engine = client(ENDPOINT, KEY).engine
    assert engine.startswith("httpcore 1.")
    assert default_engine() == engine
    with pytest.raises(ValueError, match=r"pycurl can't be used: .* with its extra 'fast'"):
        client(ENDPOINT, KEY, engine="pycurl")


@pytest.mark.parametrize("client", CLIENTS)
def test_switched_off(client: Any) -> None:
    """An argument switches it off."""
    assert client(ENDPOINT, KEY, engine="httpcore").engine.startswith("httpcore 1.")


@pytest.mark.parametrize("client", CLIENTS)
def test_settings_that_pycurl_has_not(client: Any, authority: Authority) -> None:
    """An SSLContext is Python's: with one httpcore is taken, and pycurl refused."""
    context = ssl.create_default_context(cafile=authority.certificate)
    assert client(ENDPOINT, KEY, verify=context).engine.startswith("httpcore")
    with pytest.raises(ValueError, match=r"pycurl can't be used: it can't take an ssl\.SSLContext"):
        client(ENDPOINT, KEY, verify=context, engine="pycurl")
    assert client(ENDPOINT, KEY, verify=str(authority.certificate)).engine.startswith("pycurl")


def test_event_loops_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual event loop of Windows can't watch sockets for libcurl; threads need no event loop."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert AsyncTaskCountsClient(ENDPOINT, KEY).engine.startswith("httpcore")
    assert TaskCountsClient(ENDPOINT, KEY).engine.startswith("pycurl")


def test_an_old_pycurl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pycurl that lacks what is needed is as good as none."""
    monkeypatch.delattr(pycurl, "AsyncCurlMulti")
    assert TaskCountsClient(ENDPOINT, KEY).engine.startswith("httpcore")
    with pytest.raises(ValueError, match=r"PycURL/7\..* is too old; 7\.49 or later is needed"):
        TaskCountsClient(ENDPOINT, KEY, engine="pycurl")


@pytest.mark.parametrize("engine", ["httpx", "", "PYCURL", None])
def test_engines_that_are_none(engine: Any) -> None:
    """What is no engine is refused, with those that are."""
    with pytest.raises(ValueError, match="give one of 'auto', 'httpcore', 'pycurl'"):
        TaskCountsClient(ENDPOINT, KEY, engine=engine)


def test_a_transport_of_the_callers(call: Call) -> None:
    """A transport takes the place of every engine."""
    client = call.client_type(ENDPOINT, KEY, transport=httpx.MockTransport(Script(answer())), engine="pycurl")
    assert client.engine == "httpx transport"


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("import taskcounts", "httpx httpcore h11 asyncio anyio pycurl certifi"),
        ("ASK", "httpx httpcore h11 asyncio anyio"),
        ("ASK, engine='httpcore'", "httpx asyncio pycurl"),
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
