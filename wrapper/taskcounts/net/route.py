"""How to reach an endpoint: through which proxy, trusting which certificates."""

from __future__ import annotations

import ipaddress
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from taskcounts.urls import AUTHORITY, PORTS, UNSENDABLE, bracketed, check_host, is_loopback, split_url

if TYPE_CHECKING:
    import ssl


class RouteOptions(NamedTuple):
    """How to reach an endpoint, as callers say it; a proxy's URL may hold a password."""

    proxy: str | None
    verify: ssl.SSLContext | str | os.PathLike[str] | None
    trust_env: bool

    def __repr__(self) -> str:
        return "RouteOptions()"


class Proxy(NamedTuple):
    """A proxy; ``auth`` is the user and password of its URL, None without."""

    scheme: str
    host: str
    port: int
    auth: tuple[str, str] | None

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"

    @property
    def url(self) -> str:
        """Its URL, without user and password."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"


class Route(NamedTuple):
    """Where requests go, and how.

    Attributes:
        scheme: http or https.
        host: The host's name or address in canonical form, without brackets.
        port: The port, also where the URL names none.
        proxy: The proxy on the way, if any.
        verify: The PEM file or hashed folder of the certificates to trust, for the endpoint and an https
            proxy alike; None for the list that comes with httpx, or where there is only a context.
        context: What the caller gave, or what was loaded to see whether it can be; None for the list.
            The environment may name more than one path: of its certificates there is a context alone.
    """

    scheme: str
    host: str
    port: int
    proxy: Proxy | None
    verify: str | None = None
    context: ssl.SSLContext | None = None

    @property
    def netloc(self) -> str:
        """What the Host header says: without the port that the scheme implies."""
        return bracketed(self.host) + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @property
    def encrypted(self) -> bool:
        """Whether there are certificates to check: the endpoint's or the proxy's."""
        return self.scheme == "https" or (self.proxy is not None and self.proxy.scheme == "https")

    def tls(self) -> ssl.SSLContext:
        """Return an SSLContext that trusts what is to be trusted; loading the default list takes 20 ms.

        One of the caller's is returned as it is, and nobody may change it: others may use it as well.
        One of ours asks for HTTP/1.1.

        Raises:
            ValueError: The certificates can't be read, or SSLKEYLOGFILE can't be written.
        """
        if self.context is not None:
            return self.context
        if not self.encrypted:
            import ssl  # noqa: PLC0415 - takes 10 ms.

            # Nothing will be verified.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.verify and os.path.isdir(self.verify):
            return _context(None, self.verify)
        return _context(self.verify or default_certificates(), None)


def default_certificates() -> str:
    """Return the path of the list of certificates that comes with httpx."""
    import certifi  # noqa: PLC0415 - needed only where nobody names another one.

    return certifi.where()


def find_route(endpoint: str, options: RouteOptions) -> Route:
    """Return how to reach an endpoint, from arguments and the environment.

    Raises:
        ValueError: The proxy is no URL, or the certificates can't be read.
        TypeError: ``verify`` is something else, such as False.
    """
    url, host, port = split_url(endpoint)
    port = port or PORTS[url.scheme]
    source, name = "", options.proxy
    if name is None and options.trust_env:
        source, name = environment_proxy(url.scheme, host, port)
    proxy = _proxy(name) if name else None
    # An error reporter that prints local variables must not find its password here.
    named, name = bool(name), None
    source = f"{source}: " if source else ""
    if named and proxy is None:
        raise ValueError(
            f"{source}the proxy is not a URL such as http://proxy.example:8080, with nothing after the port: "
            "percent-encode the special characters of a user name or password"
        )
    return _trusting(Route(url.scheme, host, port, proxy), options)


def _trusting(found: Route, options: RouteOptions) -> Route:
    """Return a connection with what certificates to trust; what somebody named must be readable."""
    verify = options.verify
    if verify is not None and not isinstance(verify, str | os.PathLike):
        import ssl  # noqa: PLC0415 - takes 10 ms, which plain http doesn't need.

        if not isinstance(verify, ssl.SSLContext):
            raise TypeError(
                f"verify must be an ssl.SSLContext or a path, not {verify!r}: certificates are always checked"
            )
        return found._replace(context=verify)
    if not found.encrypted:
        return found
    if verify is not None:
        named = found._replace(verify=os.fspath(verify))
        return named._replace(context=named.tls())
    return found._replace(context=_environment_context()) if options.trust_env else found


def _environment_context() -> ssl.SSLContext | None:
    """Return a context that trusts what the environment names, None if it names nothing.

    SSL_CERT_FILE and SSL_CERT_DIR add up, as OpenSSL reads them; REQUESTS_CA_BUNDLE, a file or a folder as
    requests (and so Microsoft's clients) read it, counts only where neither of them is set.
    """
    file, folders, bundle = map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"))
    if folders and not any(map(os.path.isdir, folders.split(os.pathsep))):
        raise ValueError(f"SSL_CERT_DIR: {folders!r} names no folder that exists")
    if file or folders:
        return _context(file or None, folders or None, "SSL_CERT_FILE: ")
    if not bundle:
        return None
    if os.path.isdir(bundle):
        return _context(None, bundle)
    return _context(bundle, None, "REQUESTS_CA_BUNDLE: ")


def _context(file: str | None, folders: str | None, source: str = "") -> ssl.SSLContext:
    """Return a context for HTTP/1.1 that trusts the certificates of a file and of hashed folders, no others.

    Args:
        file: A PEM file.
        folders: Folders, separated by os.pathsep; OpenSSL looks into them while it connects.
        source: What named the file, for the message.

    Raises:
        ValueError: The file can't be read, or SSLKEYLOGFILE can't be written.
    """
    import ssl  # noqa: PLC0415 - takes 10 ms, which plain http doesn't need.

    try:
        context = ssl.create_default_context(cafile=file, capath=folders)
    except OSError as error:
        keys = os.environ.get("SSLKEYLOGFILE")
        if keys and error.filename == keys:
            raise ValueError(f"SSLKEYLOGFILE: TLS keys can't be written there: {error}") from None
        raise ValueError(f"{source}the CA certificates in {file!r} can't be read: {error}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy(text: str) -> Proxy | None:
    """Return the proxy, None if it is no URL: an error raised in here would have the URL in a frame."""
    try:
        url, host, port = split_url(text)
        user, password = (unquote(part or "", errors="strict") for part in (url.username, url.password))
    except ValueError:
        return None
    # Behind the host nothing may stand: it may be the rest of a password, of which the user is no host.
    if url.scheme not in PORTS or url.path not in ("", "/") or set("?#") & set(text):
        return None
    if UNSENDABLE.search(user + password):
        return None
    auth = (user, password) if user or password else None
    return Proxy(url.scheme, host, port or PORTS[url.scheme], auth)


def environment_proxy(scheme: str, host: str, port: int) -> tuple[str, str | None]:
    """Return what names the proxy for a host, and its URL; "" and None for this machine itself, or without.

    Args:
        scheme: The endpoint's.
        host: Its host, in canonical form.
        port: Its port, which NO_PROXY may name.
    """
    if is_loopback(host):
        return "", None
    # Only these systems have proxies elsewhere than in the environment.
    if sys.platform not in ("darwin", "win32") and not any(
        name.lower().endswith("_proxy") for name in os.environ
    ):
        return "", None
    import urllib.request  # noqa: PLC0415 - takes 20 ms, and knows where each system has its proxies.

    proxies = urllib.request.getproxies()
    kind = scheme if proxies.get(scheme) else "all"
    proxy = proxies.get(kind)
    entries = urllib.request.getproxies_environment().get("no", "").replace(",", " ").split()
    if not proxy or urllib.request.proxy_bypass(host) or any(_bypasses(each, host, port) for each in entries):
        return "", None
    # Lower case, which comes last, goes first.
    name = max((each for each in os.environ if each.lower() == f"{kind}_proxy"), default="the system's proxy")
    return name, proxy if "://" in proxy else f"http://{proxy}"


def _bypasses(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY names a host in canonical form.

    An entry is ``*`` for every host, an address, a network such as ``10.0.0.0/8`` or ``fd00::/8``, or a name,
    which stands for all names below it as well; ``.name`` and ``*.name`` mean the same. With ``:port`` at its
    end (an address of IPv6 then has brackets) it names that port alone. curl and requests know some of these
    forms each; names in an alphabet of their own, case and final dots make no difference.
    """
    authority = AUTHORITY.fullmatch(entry)
    name, number = (authority["host"], authority["port"]) if authority else (entry, None)
    if number and int(number) != port:
        return False
    if name == "*":
        return True
    name = name.strip("[]")
    # Either may be no address, and what is left may be no name.
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    with suppress(ValueError):
        return f".{host}".endswith("." + check_host(name.removeprefix("*.").lstrip(".")))
    return False
