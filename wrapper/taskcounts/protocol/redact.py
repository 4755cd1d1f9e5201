"""Keeps signatures and tokens out of whatever is told of an answer. Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from taskcounts.errors import TaskCountsError, causes_of
from taskcounts.protocol.messages import Answer, Request
from taskcounts.text import SecretText

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

# What neither JSON's slashes nor a URL's percent signs spell in another way; the end, if there is none of it.
_SAME = re.compile(r"[A-Za-z0-9_.~-]{8}|\Z")

# Of how many attempts the secrets are kept: an answer may repeat what an earlier one was asked with.
_ATTEMPTS = 4


# What nobody may see, of the last attempts.
Secrets = tuple[SecretText, ...]


def secrets_of(request: Request, before: Secrets = ()) -> Secrets:
    """Return what of a request's Authorization nobody may see, with what was so before."""
    secret = SecretText(request.headers["authorization"].rpartition(" ")[2].rpartition(":")[2])
    if len(secret) < 8 or secret in before:
        # What is as short as this guards nothing, and hiding it would cut numbers and words to pieces.
        return before
    return (*before[-(_ATTEMPTS - 1) :], secret)


def escaped_forms(secret: SecretText) -> Secrets:
    """Return how a secret may be spelt: JSON has backslashes before slashes, URLs have percent signs."""
    return secret, SecretText(secret.replace("/", "\\/")), SecretText(quote(secret, safe=""))


def unescaped_run(secret: SecretText) -> SecretText:
    """Return a part of a secret that all its spellings have: where it isn't, none of them is.

    It is empty, and so is everywhere, if there is no part that is long enough to be rare.
    """
    # No local variable holds what was found.
    return SecretText(_SAME.search(secret)[0])  # type: ignore[index]


def redact(text: str, secrets: Secrets) -> str:
    """Return a text without the secrets."""
    for secret in secrets:
        if unescaped_run(secret) in text:
            for spelling in escaped_forms(secret):
                text = text.replace(spelling, "<hidden>")
    return text


def redact_value(value: Any, secrets: Secrets) -> Any:
    """Return a value without the secrets in any text of it."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(name, secrets): redact_value(item, secrets) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(redact_value(item, secrets) for item in value)
    return value


def redact_answer(answer: Answer, secrets: Secrets) -> Answer:
    """Return an answer in which the secrets don't stand as they are; JSON has spellings that show later."""
    for secret in secrets:
        part = unescaped_run(secret)
        if part.encode() in answer.body or part in "\n".join(answer.headers.values()):
            break
    else:
        return answer
    body = answer.body
    for secret in secrets:
        for spelling in escaped_forms(secret):
            body = body.replace(spelling.encode(), b"<hidden>")
    headers = {name: redact(value, secrets) for name, value in answer.headers.items()}
    return answer._replace(headers=headers, body=body)


def redacted_body(body: bytes, secrets: Secrets) -> str:
    """Return a body as text without the secrets, however JSON spells them."""
    text = body.decode("utf-8", "replace")
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    told = any(spelling in plain for secret in secrets for spelling in escaped_forms(secret))
    return redact(plain if told else text, secrets)


def redact_error(error: TaskCountsError, secrets: Secrets) -> TaskCountsError:
    """Hide the secrets in whatever an error says, and drop the frames of its causes.

    JSON can spell a secret in ways that only show once it is read; the transport's errors
    quote what it could not read; and their frames hold the request with its Authorization header.
    """
    error.args = tuple(redact_value(argument, secrets) for argument in error.args)
    vars(error).update({name: redact_value(value, secrets) for name, value in vars(error).items()})
    for cause in causes_of(error.__cause__):
        cause.__traceback__ = None
        cause.args = tuple(redact_value(argument, secrets) for argument in cause.args)
    return error
