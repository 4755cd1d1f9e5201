"""Credentials: a shared key, a bearer token, or any credential object of azure-identity.

Signing is a pure function of the request; this module does no I/O. No repr, pickle or error of it contains a
key, a token or a signature.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, Protocol, Self
from urllib.parse import unquote_plus

from taskcounts.urls import split_url

__all__ = ["AsyncTokenCredential", "BearerToken", "Credential", "SharedKey", "TokenCredential", "scope_for"]

# The header values of the string to sign, in the order that
# https://learn.microsoft.com/rest/api/batchservice/authenticate-requests-to-the-azure-batch-service gives.
SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)

_UNDATED = MappingProxyType({"ocp-date": ""})

# The service accepts only an audience that ends in a slash, and Entra takes the part of a scope before its
# last slash as the audience: hence two slashes. The public cloud's scope is documented; the double slash of
# the others is inferred from it.
PUBLIC_SCOPE = "https://batch.core.windows.net//.default"
SOVEREIGN_SCOPES = {
    ".batch.usgovcloudapi.net": "https://batch.core.usgovcloudapi.net//.default",
    ".batch.chinacloudapi.cn": "https://batch.chinacloudapi.cn//.default",
}

# Storage and Batch account names:
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def string_to_sign(
    method: str,
    target: str,
    headers: Mapping[str, str],
    account: str,
    *,
    lowercase_names: bool = True,
    sign_date: bool = False,
) -> str:
    """Return the string that the shared key signs for a request.

    Args:
        method: The verb, in upper case.
        target: Path and query exactly as they are sent, percent-encoded.
        headers: All headers of the request, names in lower case.
        account: The account's name.
        lowercase_names: Write the names of query parameters in lower case, as documented. The service also
            accepts them as they were sent, which Microsoft's Python client signs.
        sign_date: Sign ``date`` even beside an ``ocp-date``, as Microsoft's clients do; by the
            documentation its line is empty then.

    Source: the page "Authenticate requests to the Azure Batch service", checked against signatures made by
    Microsoft's clients. That page demands a final newline, but its own example and all clients have none. The
    clients parse the query as a form, where a plus sign stands for a space; a link to a next page may hold
    one.
    """
    path, _, query = target.partition("?")
    if "ocp-date" in headers and not sign_date:
        headers = {name: value for name, value in headers.items() if name != "date"}
    head, tail = head_to_sign(method, headers), query_to_sign(query, lowercase_names=lowercase_names)
    return f"{head}\n/{account}{path}{tail}"


def head_to_sign(method: str, headers: Mapping[str, str] = _UNDATED) -> str:
    """Return the beginning of the string to sign: a line for the verb and for each header that is signed.

    By default it ends where the value of ``ocp-date`` is to follow, and no other header is signed.
    """
    lines = [method, *(headers.get(name, "") for name in SIGNED_HEADERS)]
    lines += [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("ocp-")]
    return "\n".join(lines)


def query_to_sign(query: str, *, lowercase_names: bool = True) -> str:
    """Return the end of the string to sign: for each parameter of a query a newline and a line."""
    lines = []
    for part in sorted(filter(None, query.split("&")), key=lambda part: part.partition("=")[0].lower()):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        lines.append(f"\n{name.lower() if lowercase_names else name}:{unquote_plus(value)}")
    return "".join(lines)


class _Secret:
    """A base for credentials: they are immutable, and can't be pickled."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and can't be pickled; create one in each process"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class SharedKey(_Secret):
    """An account's name and one of its two access keys.

    Args:
        account: The name of the Batch account (not its URL).
        key: The access key, Base64, as the portal or ``az batch account keys list`` shows it.

    Raises:
        ValueError: The account isn't a name, or the key isn't Base64. The message doesn't show the key.
    """

    __slots__ = ("_key", "_mac", "account")
    _key: bytes
    _mac: Any
    account: str

    def __init__(self, account: str, key: str) -> None:
        object.__setattr__(self, "_key", _decode_key(key))
        # An error reporter prints local variables: it must not find the key here.
        del key
        if not isinstance(account, str):
            raise TypeError(f"account must be a str, not {type(account).__name__}")
        if not _ACCOUNT.fullmatch(account.lower()):
            raise ValueError(
                f"account {account!r} is not the name of a Batch account: 3 to 24 letters and digits, no URL"
            )
        if not self._key:
            raise ValueError(
                "the access key is not Base64; copy it whole from the portal "
                "or from 'az batch account keys list' (88 characters, ending in '==')"
            )
        object.__setattr__(self, "account", account.lower())
        import hmac  # noqa: PLC0415 - loads OpenSSL, which takes 5 ms.

        # Keyed once: copying it takes half the time of keying a new one.
        object.__setattr__(self, "_mac", hmac.new(self._key, digestmod="sha256"))

    def authorization(self, method: str, target: str, headers: Mapping[str, str]) -> str:
        """Return the value of the Authorization header for a request.

        Args:
            method: The verb, in upper case.
            target: Path and query exactly as they are sent, percent-encoded.
            headers: All headers of the request, names in lower case; ``ocp-date`` among them.
        """
        return self.sign(string_to_sign(method, target, headers, self.account))

    def sign(self, text: str) -> str:
        """Return the value of the Authorization header for a request, given the string to sign."""
        mac = self._mac.copy()
        mac.update(text.encode())
        # No local variable holds the signature.
        return f"SharedKey {self.account}:{binascii.b2a_base64(mac.digest(), newline=False).decode('ascii')}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SharedKey):
            return NotImplemented
        import hmac  # noqa: PLC0415 - loads OpenSSL, which takes 5 ms.

        return self.account == other.account and hmac.compare_digest(self._key, other._key)

    def __hash__(self) -> int:
        return hash((SharedKey, self.account))

    def __repr__(self) -> str:
        # An error reporter may call this while the constructor refuses its arguments.
        return f"SharedKey({getattr(self, 'account', None)!r}, key=<hidden>)"


class BearerToken(_Secret):
    """A Microsoft Entra access token that the caller has fetched; it is sent until it expires.

    For tokens that renew themselves, hand the client a credential of azure-identity instead.

    Args:
        token: The token alone, without the word ``Bearer``.

    Raises:
        ValueError: The text can't be a token. The message doesn't show it.
    """

    __slots__ = ("_token",)
    _token: str

    def __init__(self, token: str) -> None:
        usable = isinstance(token, str) and _TOKEN.fullmatch(token) is not None
        if usable:
            object.__setattr__(self, "_token", token)
        del token
        if not usable:
            raise ValueError(
                "the token is not a bearer token: give the token alone, without 'Bearer' and without spaces"
            )

    def authorization(self) -> str:
        """Return the value of the Authorization header."""
        return f"Bearer {self._token}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BearerToken):
            return NotImplemented
        import hmac  # noqa: PLC0415 - loads OpenSSL, which takes 5 ms.

        return hmac.compare_digest(self._token, other._token)

    def __hash__(self) -> int:
        return hash(BearerToken)

    def __repr__(self) -> str:
        return "BearerToken(<hidden>)"


class _AccessToken(Protocol):
    """The token that a credential gives; azure-core's AccessToken is one.

    It is used until its ``refresh_on``, or else until 5 minutes before its ``expires_on``, both in seconds
    since 1970. A token without an ``expires_on`` is used once.
    """

    @property
    def token(self) -> str: ...


class TokenCredential(Protocol):
    """Anything with azure-core's ``get_token``: every credential of ``azure.identity``."""

    def get_token(self, *scopes: str, **kwargs: Any) -> _AccessToken:
        """Return a token for the scopes, with the ``claims`` that the service wants, if any."""
        ...


class AsyncTokenCredential(Protocol):
    """Anything with azure-core's asynchronous ``get_token``: every credential of ``azure.identity.aio``."""

    def get_token(self, *scopes: str, **kwargs: Any) -> Awaitable[_AccessToken]:
        """Return a token for the scopes, with the ``claims`` that the service wants, if any."""
        ...


class SupportsTokenInfo(Protocol):
    """Anything with azure-core's ``get_token_info``, synchronous or not; it is preferred to ``get_token``."""

    def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        """Return a token for the scopes, with its expiry and other facts."""
        ...


Credential = SharedKey | BearerToken | TokenCredential | SupportsTokenInfo


def token_method(credential: object) -> str | None:
    """Return the name of the method by which a credential gives tokens, None if it has none.

    No variable holds the method itself, whose repr contains that of the credential.
    """
    for name in ("get_token_info", "get_token"):
        if callable(getattr(credential, name, None)):
            return name
    return None


def scope_for(endpoint: str) -> str:
    """Return the Entra scope of an endpoint's cloud, or that of the public cloud if the cloud is unknown."""
    try:
        _, host, _ = split_url(endpoint if "://" in endpoint else f"https://{endpoint}")
    except ValueError:
        return PUBLIC_SCOPE
    for suffix, scope in SOVEREIGN_SCOPES.items():
        if host.endswith(suffix):
            return scope
    return PUBLIC_SCOPE


def _decode_key(key: str) -> bytes:
    """Return the bytes of a key, b"" if it isn't Base64: an error raised here would have it in a frame."""
    try:
        return binascii.a2b_base64(key.strip(), strict_mode=True)
    except (binascii.Error, ValueError, AttributeError, TypeError):
        return b""
