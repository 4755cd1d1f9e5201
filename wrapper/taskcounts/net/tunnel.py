"""Tunnels through proxies: CONNECT (RFC 9110, 9.3.6) and SOCKS5 (RFC 1928 and 1929)."""

from __future__ import annotations

import ipaddress

from taskcounts.net.base import BrokenAnswer, Conversation, NeverWorks, PartialAnswer
from taskcounts.net.http import AnswerReader, proxy_authorization
from taskcounts.net.route import Proxy, Route
from taskcounts.retry import RETRYABLE_STATUSES
from taskcounts.urls import bracketed


def open_tunnel(route: Route, proxy: Proxy) -> Conversation[None]:
    """Ask a proxy to connect to the endpoint.

    Raises:
        ConnectionError: The proxy refuses; NeverWorks if it would refuse another attempt as well.
    """
    return (_socks5 if proxy.scheme.startswith("socks") else _connect)(route, proxy)


def _connect(route: Route, proxy: Proxy) -> Conversation[None]:
    target = f"{bracketed(route.host)}:{route.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.auth is not None:
        lines.append(proxy_authorization(proxy.auth))
    answer = PartialAnswer(0)
    request = "\r\n".join([*lines, "", ""]).encode("ascii")
    yield from AnswerReader().round_trip(request, answer, only_head=True)
    if 200 <= answer.status < 300:
        if not answer.reusable:
            raise BrokenAnswer("it sent more than its answer to CONNECT")
        return
    refusal = "it requires valid credentials" if answer.status == 407 else "no tunnel"
    kind = ConnectionError if answer.status in RETRYABLE_STATUSES else NeverWorks
    raise kind(f"{answer.status} to CONNECT: {refusal}")


def _socks5(route: Route, proxy: Proxy) -> Conversation[None]:
    method = 0 if proxy.auth is None else 2
    if (yield from _reply(bytes([5, 1, method]), 2))[1] != method:
        raise NeverWorks("it wants another way to sign in")
    if proxy.auth is not None:
        user, password = (part.encode() for part in proxy.auth)
        if max(len(user), len(password)) > 255:
            raise NeverWorks("SOCKS takes a user name and password of at most 255 bytes")
        request = bytes([1, len(user)]) + user + bytes([len(password)]) + password
        if (yield from _reply(request, 2))[1] != 0:
            raise NeverWorks("it doesn't accept the user name and password")
    try:
        packed = ipaddress.ip_address(route.host).packed
        address = bytes([1 if len(packed) == 4 else 4]) + packed
    except ValueError:
        # The proxy resolves the name.
        address = bytes([3, len(route.host)]) + route.host.encode("ascii")
    request = bytes([5, 1, 0]) + address + route.port.to_bytes(2, "big")
    reply = yield from _reply(request, 5)
    # The reply ends with an address of one of three types, and a port.
    length = {1: 10, 4: 22}.get(reply[3], 7 + reply[4])
    reply += yield from _reply(b"", length - len(reply))
    if reply[0] != 5 or len(reply) > length:
        raise BrokenAnswer("its reply is not SOCKS5")
    if reply[1] != 0:
        raise ConnectionError(f"SOCKS error {reply[1]}: it can't connect to {route.host}:{route.port}")


def _reply(request: bytes, length: int) -> Conversation[bytes]:
    """Send a request and return a reply of ``length`` bytes."""
    reply = b""
    while len(reply) < length:
        data = yield request
        if not data:
            raise BrokenAnswer("it ended the connection before its answer")
        reply, request = reply + data, b""
    return reply
