"""Servers on loopback that give the same answer to everything."""

from collections.abc import Callable

import pytest

from support.answers import answer
from support.certificates import Authority
from support.servers import Server, always


@pytest.fixture
def server(serve: Callable[..., Server]) -> Server:
    return serve(always(answer()))


@pytest.fixture
def secure(serve: Callable[..., Server], authority: Authority) -> Server:
    return serve(always(answer()), authority.server)
