"""URLs and hosts in canonical form, for look-ups, checks, requests and comparisons."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

# The host of a URL, an IPv6 address in brackets, and perhaps a port.
AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*:[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]{0,5}))?")

# Control characters, some of which urlsplit drops, and lone surrogates, which UTF-8 can't encode.
UNSENDABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# The dots of IDNA, and a label in ASCII. Underscores aren't allowed in host names, but many networks use
# them.
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")

# Resolvers take any name that ends in a number for an IPv4 address, even 127.1 and 0x7f000001.
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

# The default ports of schemes.
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def split_url(text: str) -> tuple[SplitResult, str, int | None]:
    """Return the parts of a URL, its host in canonical form, and its port, None where it names none.

    Raises:
        ValueError: The host is neither a name nor an address, or the port is not from 1 to 65535; the
            message may hold parts of the URL.
    """
    url = urlsplit(text)
    authority = AUTHORITY.fullmatch(url.netloc.rpartition("@")[2])
    if UNSENDABLE.search(text) or authority is None or not 0 < int(authority["port"] or 1) < 65536:
        raise ValueError("the URL has no valid host and port")
    port = int(authority["port"]) if authority["port"] else None
    return url, check_host(authority["host"].strip("[]")), port


def check_host(host: str) -> str:
    """Return the canonical form of a host.

    A name is in lower case and ASCII (IDNA encodes other alphabets), without a dot at its end. An IPv4
    address has four decimal numbers; an IPv6 address has its shortest form.

    Raises:
        ValueError: The host is neither a name nor an address, or has a scope, such as ``fe80::1%eth0``.
    """
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an address with a scope fits neither a Host header nor a certificate")
        return address.compressed
    labels = _DOTS.split(host.lower())
    if not labels[-1] and len(labels) > 1:
        del labels[-1]
    name = ".".join(map(_ascii, labels))
    if _NUMBER.fullmatch(name):
        return str(ipaddress.IPv4Address(name))
    if len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):
        raise ValueError("a label is empty, too long, or has a character that no name has")
    return name


def _ascii(label: str) -> str:
    """Return a label of a host's name in ASCII, encoded as httpx does."""
    if label.isascii() and not label.startswith("xn--"):
        return label
    import idna  # noqa: PLC0415 - needed only for such names.

    return idna.alabel(idna.ulabel(label)).decode("ascii")


def bracketed(host: str) -> str:
    """Return a host as a URL has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Return whether a host is the loopback interface, by name or by address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
