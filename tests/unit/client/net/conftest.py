"""Sends a request over an engine, in a thread or a task."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from support.client import Server, always, answer
from taskcounts.net.factory import make_engine
from taskcounts.net.route import Connection, Proxy
from taskcounts.protocol.messages import Request

GET = {"accept": "application/json", "authorization": "SharedKey abc:secretword"}


Ask = Callable[..., Any]


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Return a function that sends a request, or several one after the other, over an engine of its own."""
    awaits = request.param

    def ask(url: str, proxy: Proxy | None = None, verify: Path | None = None, times: int = 1) -> Any:
        scheme, _, place = url.partition("://")
        host, _, port = place.rpartition(":")
        way = Connection(scheme, host.strip("[]"), int(port), proxy, None if verify is None else str(verify))
        request = Request("GET", f"{url}/x", GET)

        async def send() -> Any:
            engine = make_engine(way, awaits=True)
            found = [await engine.send(request, 5, 10_000) for _ in range(times)]
            await engine.close()
            return found

        if awaits:
            found = asyncio.run(send())
        else:
            engine = make_engine(way, awaits=False)
            found = [engine.send(request, 5, 10_000) for _ in range(times)]
            engine.close()
        return found if times > 1 else found[0]

    return ask


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(always(answer()))


@pytest.fixture
def secure(serve: Callable[..., Server], authority: Authority) -> Server:
    return serve(always(answer()), authority.server)
