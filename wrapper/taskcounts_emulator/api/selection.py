"""``$select``, and the tokens of list pages.

Pure functions; an invalid value raises a ValueError of one line, which becomes part of the response.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection

from taskcounts_emulator.json_reader import show

__all__ = ["parse_select", "read_skiptoken", "skiptoken"]

_DIGEST_SIZE = 12


def parse_select(text: str | None, known: Collection[str]) -> frozenset[str] | None:
    """Return the names in ``$select``, or None for all members.

    Args:
        text: Names separated by commas; None if the parameter is absent.
        known: The names of all members.

    Raises:
        ValueError: A name is empty, unknown, or that of a nested member. Names are case-sensitive.
    """
    if text is None:
        return None
    names = [name.strip(" \t") for name in text.split(",")]
    for name in names:
        if name in known:
            continue
        if not name:
            wrong = "a name is missing"
        elif "/" in name:
            wrong = f"{show(name)} is part of a member, and only whole ones can be selected"
        else:
            wrong = f"unknown member {show(name)}"
        raise ValueError(f"{wrong}; known are {', '.join(sorted(known))}")
    return frozenset(names)


def skiptoken(last_id: str, bound_to: str) -> str:
    """Return the token of the next page, in characters that need no escape in a URL.

    Args:
        last_id: The id after which the page begins.
        bound_to: Everything that the token is valid for, in one text: the list, and other parameters of the
            query.
    """
    name = last_id.encode(errors="surrogatepass")
    # A checksum, not a protection: it detects links that somebody put together.
    bound = hashlib.sha256(bound_to.encode(errors="surrogatepass")).digest()
    digest = hashlib.sha256(bound + name).digest()[:_DIGEST_SIZE]
    return base64.urlsafe_b64encode(digest + name).decode().rstrip("=")


def read_skiptoken(token: str, bound_to: str) -> str:
    """Return the id after which the page of a token begins.

    Args:
        token: The value of ``$skiptoken``.
        bound_to: The text that the token was made with.

    Raises:
        ValueError: The token is invalid, or was made for something else.
    """
    try:
        # The decoder ignores characters outside its alphabet; the comparison detects them.
        data = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        last_id = data[_DIGEST_SIZE:].decode(errors="surrogatepass")
    except (binascii.Error, UnicodeError):
        raise ValueError("it is no token that was given in an odata.nextLink") from None
    if token != skiptoken(last_id, bound_to):
        raise ValueError("it was not given for this list: follow an odata.nextLink as it is")
    return last_id
