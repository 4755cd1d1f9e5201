"""URLs and hosts in canonical form: what is looked up, checked, sent and compared."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

# Where a URL leads to: a name or an address, that of IPv6 in brackets, and perhaps a port.
AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*:[^\[\]]*\]|[^:\[\]]*)(:(?P<port>[0-9]{0,5}))?")


# Control characters, some of which urlsplit drops, and halves of characters, which have no bytes.
UNSENDABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


# The dots of IDNA, and a label in ASCII; an underscore is no host's, but many networks have one.
_DOTS = re.compile("[.\u3002\uff0e\uff61]")


_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


# Whatever ends in a number is looked up as an address of IPv4, even 127.1 and 0x7f000001.
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")


# The ports that schemes imply.
PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def split_url(text: str) -> tuple[SplitResult, str, int | None]:
    """Return the parts of a URL, its host in canonical form, and its port, None where it names none.

    Raises:
        ValueError: Its host is neither a name nor an address, or its port is none; the message may hold
            parts of the URL.
    """
    url = urlsplit(text)
    authority = AUTHORITY.fullmatch(url.netloc.rpartition("@")[2])
    if UNSENDABLE.search(text) or authority is None or not 0 < int(authority["port"] or 1) < 65536:
        raise ValueError("the URL leads nowhere")
    port = int(authority["port"]) if authority["port"] else None
    return url, check_host(authority["host"].strip("[]")), port


def check_host(host: str) -> str:
    """Return the canonical form of a host, which is looked up, checked, sent and compared.

    It has lower case, no dot at its end, and ASCII alone: a label in an alphabet of its own has such a form.
    An address is that of IPv4 in four decimal numbers, or that of IPv6 in its shortest form.

    Raises:
        ValueError: It is neither a name nor an address, or an address with a scope, such as ``fe80::1%eth0``.
    """
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("a scope has no place in a Host header or in a certificate")
        return address.compressed
    labels = _DOTS.split(host.lower())
    if not labels[-1] and len(labels) > 1:
        del labels[-1]
    name = ".".join(map(_ascii, labels))
    if _NUMBER.fullmatch(name):
        return str(ipaddress.IPv4Address(name))
    if len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):
        raise ValueError("a label is empty, too long, or holds what a name can't")
    return name


def _ascii(label: str) -> str:
    """Return a label of a host's name in ASCII, as httpx looks it up."""
    if label.isascii() and not label.startswith("xn--"):
        return label
    import idna  # noqa: PLC0415 - needed for such names alone.

    return idna.alabel(idna.ulabel(label)).decode("ascii")


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback interface, by name or by address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
