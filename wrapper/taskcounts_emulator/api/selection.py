"""Which part of a list or of a resource a caller wants: ``$select``, and the pages of a list.

Pure functions; what is wrong with a caller's text is a ValueError of one line, which the HTTP layer tells.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection, Mapping

from taskcounts_emulator.json_reader import show

__all__ = ["apply", "parse_select", "read_skiptoken", "skiptoken"]

_DIGEST_SIZE = 12


def parse_select(text: str | None, known: Collection[str]) -> frozenset[str] | None:
    """Return the names of the members that ``$select`` asks for, or None for all of them.

    Args:
        text: The parameter's value: names with commas between them; None if it is absent.
        known: The members that there are.

    Raises:
        ValueError: A name is missing, unknown, or that of a member of a member. They are case-sensitive.
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


def apply(selection: Collection[str] | None, members: Mapping[str, object]) -> dict[str, object]:
    """Return the members that were asked for, in their order. What begins with ``odata.`` stays.

    Args:
        selection: What ``parse_select`` returned.
        members: The members of a resource.
    """
    if selection is None:
        return dict(members)
    return {name: value for name, value in members.items() if name in selection or name.startswith("odata.")}


def skiptoken(last_id: str, bound_to: str) -> str:
    """Return what leads to the next page, in characters that need no escape in a URL.

    Args:
        last_id: The id after which that page begins.
        bound_to: All that the token is valid for, in one text: the list, and the query's other parameters.
    """
    name = last_id.encode(errors="surrogatepass")
    # No secret, and no protection: it catches links that somebody put together.
    bound = hashlib.sha256(bound_to.encode(errors="surrogatepass")).digest()
    digest = hashlib.sha256(bound + name).digest()[:_DIGEST_SIZE]
    return base64.urlsafe_b64encode(digest + name).decode().rstrip("=")


def read_skiptoken(token: str, bound_to: str) -> str:
    """Return the id after which a page begins.

    Args:
        token: What a caller sent as ``$skiptoken``: anything.
        bound_to: The text that ``skiptoken`` had.

    Raises:
        ValueError: It is none of our tokens, or was given for something else.
    """
    try:
        # Characters that are none of the alphabet are passed over here; the comparison finds them.
        data = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        last_id = data[_DIGEST_SIZE:].decode(errors="surrogatepass")
    except (binascii.Error, UnicodeError):
        raise ValueError("it is no token that was given in an odata.nextLink") from None
    if token != skiptoken(last_id, bound_to):
        raise ValueError("it was not given for this list: follow an odata.nextLink as it is")
    return last_id
