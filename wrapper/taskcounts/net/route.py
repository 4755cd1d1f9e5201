"""Routes to endpoints: the proxy on the way, and the certificates that are trusted."""

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
    """The caller's options for a route. The repr leaves them out: a proxy's URL may hold a password."""

    proxy: str | None
    verify: ssl.SSLContext | str | os.PathLike[str] | None
    trust_env: bool

    def __repr__(self) -> str:
        return "RouteOptions()"


class Proxy(NamedTuple):
    """A proxy.

    Attributes:
        scheme: http, https, socks5 or socks5h.
        host: The host's name or address in canonical form, without brackets.
        port: The port.
        auth: The user and password, None without.
    """

    scheme: str
    host: str
    port: int
    auth: tuple[str, str] | None

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"

    @property
    def url(self) -> str:
        """The proxy's URL, without user and password."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"


class Route(NamedTuple):
    """The route to an endpoint.

    Attributes:
        scheme: http or https.
        host: The host's name or address in canonical form, without brackets.
        port: The port.
        proxy: The proxy on the way, if any.
        verify: The PEM file or hashed folder of the certificates to trust, for the endpoint and an https
            proxy alike; None for certifi's list, or if there is only a context.
        context: The caller's SSLContext, or one with the certificates that the caller or the environment
            names, loaded early to detect errors; None for certifi's list.
    """

    scheme: str
    host: str
    port: int
    proxy: Proxy | None
    verify: str | None = None
    context: ssl.SSLContext | None = None

    @property
    def netloc(self) -> str:
        """The value of the Host header: the host, and the port unless it is the scheme's default."""
        return bracketed(self.host) + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @property
    def encrypted(self) -> bool:
        """True if the endpoint or the proxy has a certificate to check."""
        return self.scheme == "https" or (self.proxy is not None and self.proxy.scheme == "https")

    def tls(self) -> ssl.SSLContext:
        """Return the route's SSLContext; loading the default list takes 20 ms.

        A context of the caller's is returned unchanged, since others may use it as well. One of ours offers
        HTTP/1.1 alone.

        Raises:
            ValueError: The certificates can't be read, or SSLKEYLOGFILE can't be written.
        """
        if self.context is not None:
            return self.context
        if not self.encrypted:
            import ssl  # noqa: PLC0415 - takes 10 ms.

            # There is no certificate to verify.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.verify and os.path.isdir(self.verify):
            return _context(None, self.verify)
        return _context(self.verify or default_certificates(), None)


def default_certificates() -> str:
    """Return the path of certifi's list of certificates, which httpx uses as well."""
    import certifi  # noqa: PLC0415 - not needed if another list is named.

    return certifi.where()


def find_route(endpoint: str, options: RouteOptions) -> Route:
    """Return the route to an endpoint, from the caller's options and the environment.

    Raises:
        ValueError: The proxy is not a URL, or the certificates can't be read.
        TypeError: ``verify`` is something else, such as False.
    """
    url, host, port = split_url(endpoint)
    port = port or PORTS[url.scheme]
    source, name = "", options.proxy
    if name is None and options.trust_env:
        source, name = environment_proxy(url.scheme, host, port)
    proxy = _proxy(name) if name else None
    # An error reporter prints local variables: it must not find the proxy's password here.
    named, name = bool(name), None
    source = f"{source}: " if source else ""
    if named and proxy is None:
        raise ValueError(
            f"{source}the proxy is not a URL such as http://proxy.example:8080, with nothing after the port: "
            "percent-encode the special characters of a user name or password"
        )
    return _with_certificates(Route(url.scheme, host, port, proxy), options)


def _with_certificates(route: Route, options: RouteOptions) -> Route:
    """Return a route with the certificates to trust; those that somebody names must be readable."""
    verify = options.verify
    if verify is not None and not isinstance(verify, str | os.PathLike):
        import ssl  # noqa: PLC0415 - takes 10 ms, which plain http doesn't need.

        if not isinstance(verify, ssl.SSLContext):
            raise TypeError(
                f"verify must be an ssl.SSLContext or a path, not {verify!r}: certificates are always checked"
            )
        return route._replace(context=verify)
    if not route.encrypted:
        return route
    if verify is not None:
        named = route._replace(verify=os.fspath(verify))
        return named._replace(context=named.tls())
    return route._replace(context=_environment_context()) if options.trust_env else route


def _environment_context() -> ssl.SSLContext | None:
    """Return a context that trusts the certificates that the environment names, None if it names none.

    SSL_CERT_FILE and SSL_CERT_DIR are used together, as OpenSSL does. REQUESTS_CA_BUNDLE, a file or a folder
    as in requests and Microsoft's clients, is used if neither of them is set.
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
        source: The name of the variable that names the file, for the message.

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
    """Return the proxy of a URL, None if the text isn't one: an error would have the text in a frame."""
    try:
        url, host, port = split_url(text)
        user, password = (unquote(part or "", errors="strict") for part in (url.username, url.password))
    except ValueError:
        return None
    # Nothing may follow the port: in a URL that isn't percent-encoded, it may be the rest of a password.
    if url.scheme not in PORTS or url.path not in ("", "/") or set("?#") & set(text):
        return None
    if UNSENDABLE.search(user + password):
        return None
    auth = (user, password) if user or password else None
    return Proxy(url.scheme, host, port or PORTS[url.scheme], auth)


def environment_proxy(scheme: str, host: str, port: int) -> tuple[str, str | None]:
    """Return the name of the variable with the proxy for a host, and the proxy's URL; "" and None without.

    The loopback interface never has a proxy.

    Args:
        scheme: The endpoint's scheme.
        host: The endpoint's host, in canonical form.
        port: The endpoint's port, which NO_PROXY may name.
    """
    if is_loopback(host):
        return "", None
    # Only these systems have settings for proxies besides the environment.
    if sys.platform not in ("darwin", "win32") and not any(
        name.lower().endswith("_proxy") for name in os.environ
    ):
        return "", None
    import urllib.request  # noqa: PLC0415 - takes 20 ms, and reads each system's proxy settings.

    proxies = urllib.request.getproxies()
    kind = scheme if proxies.get(scheme) else "all"
    proxy = proxies.get(kind)
    entries = urllib.request.getproxies_environment().get("no", "").replace(",", " ").split()
    if not proxy or urllib.request.proxy_bypass(host) or any(_bypasses(each, host, port) for each in entries):
        return "", None
    # Lower case, which sorts last, takes precedence.
    name = max((each for each in os.environ if each.lower() == f"{kind}_proxy"), default="the system's proxy")
    return name, proxy if "://" in proxy else f"http://{proxy}"


def _bypasses(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of NO_PROXY names a host in canonical form.

    An entry is ``*`` for every host, an address, a network such as ``10.0.0.0/8`` or ``fd00::/8``, or a name,
    which stands for all names below it as well; ``.name`` and ``*.name`` mean the same. An entry that ends in
    ``:port`` (an IPv6 address then has brackets) names that port alone. Names are compared in canonical form.
    curl and requests support some of these forms each.
    """
    authority = AUTHORITY.fullmatch(entry)
    name, number = (authority["host"], authority["port"]) if authority else (entry, None)
    if number and int(number) != port:
        return False
    if name == "*":
        return True
    name = name.strip("[]")
    # The host or the entry may be no address, and the entry no name either.
    with suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    with suppress(ValueError):
        return f".{host}".endswith("." + check_host(name.removeprefix("*.").lstrip(".")))
    return False
