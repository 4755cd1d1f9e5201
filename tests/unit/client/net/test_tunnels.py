"""Tunnels: the requests to proxies and their answers, in conversations without a socket."""

import pytest

from taskcounts.net.base import BrokenAnswer, NeverWorks
from taskcounts.net.route import Proxy, Route
from taskcounts.net.tunnel import open_tunnel

ROUTE = Route("https", "batch.example", 443, None)


def talk(proxy: Proxy, *answers: bytes, route: Route = ROUTE) -> list[bytes]:
    """Return the bytes that are written to a proxy, which gives an answer to each write."""
    conversation = open_tunnel(route, proxy)
    written = [next(conversation)]
    try:
        for each in answers:
            written += [conversation.send(each)]
    except StopIteration:
        return written
    raise AssertionError(f"it goes on after {written}")


def proxy(scheme: str, auth: tuple[str, str] | None = None) -> Proxy:
    return Proxy(scheme, "proxy.example", 1080, auth)


@pytest.mark.parametrize(
    ("answers", "error", "text"),
    [
        (
            [b"HTTP/1.1 407 No\r\n\r\n"],
            NeverWorks,
            "407 to CONNECT: it requires valid credentials",
        ),
        ([b"HTTP/1.1 403 No\r\n\r\n"], NeverWorks, "403 to CONNECT: no tunnel"),
        ([b"HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n"], NeverWorks, "302 to CONNECT"),
        ([b"HTTP/1.1 502 No\r\n\r\n<html>"], ConnectionError, "502 to CONNECT"),
        ([b"HTTP/1.1 200 OK\r\n\r\n<html>"], BrokenAnswer, "it sent more than its answer to CONNECT"),
        ([b"HTTP/1.1 200 OK\r\n", b""], BrokenAnswer, "the server ended the connection without an answer"),
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], BrokenAnswer, "is not HTTP/1.1"),
        ([b"ICE/1.0 200 OK\r\n\r\n"], BrokenAnswer, "is not HTTP/1.1: its first line"),
    ],
)
def test_no_tunnel(answers: list[bytes], error: type[Exception], text: str) -> None:
    """A refusal of CONNECT says why, and is permanent if the proxy would refuse again."""
    with pytest.raises(error, match=text) as caught:
        talk(proxy("http", ("me", "secretword")), *answers)
    assert type(caught.value) is error
    assert "secretword" not in str(caught.value)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_tunnel(head: bytes) -> None:
    """Any answer from 200 to 299 opens a tunnel, and has no body whatever it says, in any pieces."""
    request = b"CONNECT batch.example:443 HTTP/1.1\r\nHost: batch.example:443\r\n\r\n"
    assert talk(proxy("http"), head) == [request]
    pieces = [head[at : at + 1] for at in range(len(head))]
    assert talk(proxy("http"), *pieces) == [request] + [b""] * (len(head) - 1)


GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("batch.example", b"\x03\x0dbatch.example"),
        ("10.1.2.3", b"\x01\x0a\x01\x02\x03"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
    ],
)
@pytest.mark.parametrize("bound", [b"\x01" + bytes(4), b"\x04" + bytes(16), b"\x03\x02ab"])
def test_socks(host: str, address: bytes, bound: bytes) -> None:
    """Names go to the proxy as they are; its answer ends with an address of any kind, and comes in pieces."""
    granted = b"\x05\x00\x00" + bound + b"\x00\x50"
    asked = [b"\x05\x01\x00", b"\x05\x01\x00" + address + b"\x01\xbb"]
    route = ROUTE._replace(host=host)
    assert talk(proxy("socks5"), b"\x05\x00", granted, route=route) == asked
    pieces = [granted[at : at + 1] for at in range(len(granted))]
    written = talk(proxy("socks5h"), b"\x05", b"\x00", *pieces, route=route)
    assert [each for each in written if each] == asked


@pytest.mark.parametrize(
    ("auth", "answers", "error", "text"),
    [
        (None, [b"\x05\xff"], NeverWorks, "it wants another way to sign in"),
        (("me", "secretword"), [b"\x05\x00"], NeverWorks, "it wants another way to sign in"),
        (("me", "secretword"), [b"\x05\x02", b"\x01\x01"], NeverWorks, "it doesn't accept the user name"),
        (("me", "s" * 256), [b"\x05\x02"], NeverWorks, "at most 255 bytes"),
        (
            None,
            [b"\x05\x00", b"\x05\x05\x00\x01" + bytes(6)],
            ConnectionError,
            "SOCKS error 5: it can't",
        ),
        (None, [b"\x05\x00", GRANTED + b"more"], BrokenAnswer, "is not SOCKS5"),
        (None, [b"\x05\x00", b"\x04" + GRANTED[1:]], BrokenAnswer, "is not SOCKS5"),
        (None, [b"\x05\x00", GRANTED[:7], b""], BrokenAnswer, "it ended the connection before its answer"),
        (None, [b""], BrokenAnswer, "it ended the connection before its answer"),
    ],
)
def test_no_socks(
    auth: tuple[str, str] | None, answers: list[bytes], error: type[Exception], text: str
) -> None:
    """A refusal of SOCKS says why, and is permanent if the proxy would refuse again."""
    with pytest.raises(error, match=text) as caught:
        talk(proxy("socks5", auth), *answers)
    assert type(caught.value) is error
    assert "secretword" not in str(caught.value)
