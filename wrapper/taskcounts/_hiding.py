"""Keeps signatures and tokens out of whatever is told of an answer. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from taskcounts._steps import Answer, Request
from taskcounts.errors import TaskCountsError, causes_of

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

# Of how many attempts the secrets are kept: an answer may repeat what an earlier one was asked with.
_ATTEMPTS = 4


class _Secret(str):
    """A text that isn't shown: an interruption may come anywhere, and reporters print local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"


# The spellings of what nobody may see.
Secrets = tuple[_Secret, ...]


def secrets_of(request: Request, before: Secrets = ()) -> Secrets:
    """Return what of a request's Authorization nobody may see, in all spellings, with what was so before."""
    secret = _Secret(request.headers["authorization"].rpartition(" ")[2].rpartition(":")[2])
    if len(secret) < 8 or secret in before:
        # What is as short as this guards nothing, and hiding it would cut numbers and words to pieces.
        return before
    # JSON may spell a slash with a backslash, and a URL anything with percent signs.
    spellings = {
        secret: None,
        _Secret(secret.replace("/", "\\/")): None,
        _Secret(quote(secret, safe="")): None,
    }
    return (*before[-3 * (_ATTEMPTS - 1) :], *spellings)


def hide(text: str, secrets: Secrets) -> str:
    """Return a text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "<hidden>")
    return text


def hide_in(value: Any, secrets: Secrets) -> Any:
    """Return a value without the secrets in any text of it."""
    if isinstance(value, str):
        return hide(value, secrets)
    if isinstance(value, dict):
        return {hide(name, secrets): hide_in(item, secrets) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(hide_in(item, secrets) for item in value)
    return value


def hide_in_answer(answer: Answer, secrets: Secrets) -> Answer:
    """Return an answer in which the secrets don't stand as they are; JSON has spellings that show later."""
    found = [
        secret
        for secret in secrets
        if secret.encode() in answer.body or any(secret in value for value in answer.headers.values())
    ]
    if not found:
        return answer
    body = answer.body
    for secret in found:
        body = body.replace(secret.encode(), b"<hidden>")
    return answer._replace(
        headers={name: hide(value, secrets) for name, value in answer.headers.items()}, body=body
    )


def shown(body: bytes, secrets: Secrets) -> str:
    """Return a body as text without the secrets, however JSON spells them."""
    text = body.decode("utf-8", "replace")
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return hide(plain if any(secret in plain for secret in secrets) else text, secrets)


def clean(error: TaskCountsError, secrets: Secrets) -> TaskCountsError:
    """Hide the secrets in whatever an error says, and drop the frames of its causes.

    JSON can spell a secret in ways that only show once it is read; the transport's errors
    quote what it could not read; and their frames hold the request with its Authorization header.
    """
    error.args = tuple(hide_in(argument, secrets) for argument in error.args)
    vars(error).update({name: hide_in(value, secrets) for name, value in vars(error).items()})
    for cause in causes_of(error.__cause__):
        cause.__traceback__ = None
        cause.args = tuple(hide_in(argument, secrets) for argument in cause.args)
    return error
