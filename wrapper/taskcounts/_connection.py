"""How to reach an endpoint: through which proxy, trusting which certificates."""

from __future__ import annotations

import ipaddress
import os
import ssl
import urllib.request
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx


class Reach(NamedTuple):
    """How to reach an endpoint, as callers say it; a proxy's URL may hold a password."""

    proxy: str | None
    verify: ssl.SSLContext | str | os.PathLike[str] | None
    trust_env: bool

    def __repr__(self) -> str:
        return "Reach()"


class Connection(NamedTuple):
    """A proxy or none, and the certificates to trust, for the endpoint and an https proxy alike."""

    proxy: httpx.Proxy | None
    tls: ssl.SSLContext


def connection(endpoint: str, reach: Reach) -> Connection:
    """Return how to reach an endpoint, from arguments and the environment.

    httpx finds proxies by itself only where it builds the transport, once for every host;
    a client of ours knows its one host beforehand.

    Raises:
        ValueError: The proxy is no URL, or the certificates can't be read.
        TypeError: ``verify`` is something else, such as False.
    """
    if reach.verify is not None and not isinstance(reach.verify, ssl.SSLContext | str | os.PathLike):
        raise TypeError(
            "verify must be an ssl.SSLContext or a path, "
            f"not {reach.verify!r}: certificates are always checked"
        )
    url = urlsplit(endpoint)
    if reach.proxy is None and reach.trust_env:
        reach = reach._replace(proxy=environment_proxy(url.scheme, url.hostname or ""))
    if isinstance(reach.verify, ssl.SSLContext):
        tls = reach.verify
    elif url.scheme == "http" and not (reach.proxy or "").lower().startswith("https:"):
        # Nothing will be verified, and loading the certificates takes 25 ms.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        tls = _tls_context(reach.verify, reach.trust_env)
    proxy = _proxy(reach, tls) if reach.proxy else None
    # Neither refusal shows what was given.
    if reach.proxy and proxy is None:
        raise ValueError("the proxy is not a URL such as http://proxy.example:8080")
    if proxy is not None and proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError("a SOCKS proxy needs one more package: pip install 'httpx[socks]'")
    return Connection(proxy, tls)


def _proxy(reach: Reach, tls: ssl.SSLContext) -> httpx.Proxy | None:
    """Return the proxy, None if it is no URL: an error raised in here would have the URL in a frame."""
    url = reach.proxy or ""
    try:
        return httpx.Proxy(url, ssl_context=tls if url.lower().startswith("https:") else None)
    except (ValueError, httpx.InvalidURL):
        return None


def environment_proxy(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment names for a host; none for this machine itself."""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback interface, by name or by address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls_context(verify: str | os.PathLike[str] | None, trust_env: bool) -> ssl.SSLContext:
    if verify is None and trust_env:
        # The first two are OpenSSL's and httpx's, the third is what Microsoft's clients read.
        names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
        verify = next((os.environ[name] for name in names if os.environ.get(name)), None)
    if verify is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        if os.path.isdir(verify):
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        raise ValueError(f"the CA certificates in {os.fspath(verify)!r} can't be read: {error}") from None
