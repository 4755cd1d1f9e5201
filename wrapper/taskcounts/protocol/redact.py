"""Keeps signatures and tokens out of whatever is told of an answer. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from taskcounts.errors import TaskCountsError, causes_of
from taskcounts.protocol.messages import Answer, Request
from taskcounts.text import HiddenText

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

# What neither JSON's slashes nor a URL's percent signs spell in another way; the end, if there is none of it.
_SAME = re.compile(r"[A-Za-z0-9_.~-]{8}|\Z")

# Of how many attempts the secrets are kept: an answer may repeat what an earlier one was asked with.
_ATTEMPTS = 4


# What nobody may see, of the last attempts.
Secrets = tuple[HiddenText, ...]


def secrets_of(request: Request, before: Secrets = ()) -> Secrets:
    """Return what of a request's Authorization nobody may see, with what was so before."""
    secret = HiddenText(request.headers["authorization"].rpartition(" ")[2].rpartition(":")[2])
    if len(secret) < 8 or secret in before:
        # What is as short as this guards nothing, and hiding it would cut numbers and words to pieces.
        return before
    return (*before[-(_ATTEMPTS - 1) :], secret)


def spellings(secret: HiddenText) -> Secrets:
    """Return how a secret may be spelt: JSON has backslashes before slashes, URLs have percent signs."""
    return secret, HiddenText(secret.replace("/", "\\/")), HiddenText(quote(secret, safe=""))


def mark(secret: HiddenText) -> HiddenText:
    """Return a part of a secret that all its spellings have: where it isn't, none of them is.

    It is empty, and so is everywhere, if there is no part that is long enough to be rare.
    """
    # No local variable holds what was found.
    return HiddenText(_SAME.search(secret)[0])  # type: ignore[index]


def hide(text: str, secrets: Secrets) -> str:
    """Return a text without the secrets."""
    for secret in secrets:
        if mark(secret) in text:
            for spelling in spellings(secret):
                text = text.replace(spelling, "<hidden>")
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
    for secret in secrets:
        part = mark(secret)
        if part.encode() in answer.body or part in "\n".join(answer.headers.values()):
            break
    else:
        return answer
    body = answer.body
    for secret in secrets:
        for spelling in spellings(secret):
            body = body.replace(spelling.encode(), b"<hidden>")
    headers = {name: hide(value, secrets) for name, value in answer.headers.items()}
    return answer._replace(headers=headers, body=body)


def shown(body: bytes, secrets: Secrets) -> str:
    """Return a body as text without the secrets, however JSON spells them."""
    text = body.decode("utf-8", "replace")
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    told = any(spelling in plain for secret in secrets for spelling in spellings(secret))
    return hide(plain if told else text, secrets)


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
