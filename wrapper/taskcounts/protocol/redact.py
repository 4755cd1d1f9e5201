"""Redaction: signatures and tokens are removed from answers, errors and texts. Pure functions."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from taskcounts.errors import TaskCountsError, causes_of
from taskcounts.protocol.messages import Answer, Request
from taskcounts.text import SecretText

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")

# Eight characters that JSON and URLs leave unescaped, else the empty end of the text.
_UNESCAPED = re.compile(r"[A-Za-z0-9_.~-]{8}|\Z")

# The number of attempts whose secrets are kept: an answer may repeat the secret of an earlier request.
_ATTEMPTS = 4


# The secrets of the last attempts.
Secrets = tuple[SecretText, ...]


def secrets_of(request: Request, before: Secrets = ()) -> Secrets:
    """Return the secrets of earlier attempts, with the one in a request's Authorization header."""
    secret = SecretText(request.headers["authorization"].rpartition(" ")[2].rpartition(":")[2])
    if len(secret) < 8 or secret in before:
        # So short a secret guards nothing, and redacting it would cut numbers and words to pieces.
        return before
    return (*before[-(_ATTEMPTS - 1) :], secret)


def escaped_forms(secret: SecretText) -> Secrets:
    """Return a secret as it is, with the slashes of JSON escaped, and percent-encoded as in a URL."""
    return secret, SecretText(secret.replace("/", "\\/")), SecretText(quote(secret, safe=""))


def unescaped_run(secret: SecretText) -> SecretText:
    """Return a part of a secret that all its escaped forms have: a text without it has none of them.

    The part has 8 characters, so that it is rare. A secret without such a part gives the empty text, which
    every text has.
    """
    # No local variable holds the match, whose repr shows a part of the secret.
    return SecretText(_UNESCAPED.search(secret)[0])  # type: ignore[index]


def redact(text: str, secrets: Secrets) -> str:
    """Return a text with the secrets replaced by ``<hidden>``."""
    for secret in secrets:
        if unescaped_run(secret) in text:
            for form in escaped_forms(secret):
                text = text.replace(form, "<hidden>")
    return text


def redact_value(value: Any, secrets: Secrets) -> Any:
    """Return a JSON value with the secrets redacted in all its texts."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(name, secrets): redact_value(item, secrets) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(redact_value(item, secrets) for item in value)
    return value


def redact_answer(answer: Answer, secrets: Secrets) -> Answer:
    """Return an answer with the secrets redacted in its headers and body.

    JSON may spell a secret with other escapes, which show only once the body is parsed.
    """
    for secret in secrets:
        part = unescaped_run(secret)
        if part.encode() in answer.body or part in "\n".join(answer.headers.values()):
            break
    else:
        return answer
    body = answer.body
    for secret in secrets:
        for form in escaped_forms(secret):
            body = body.replace(form.encode(), b"<hidden>")
    headers = {name: redact(value, secrets) for name, value in answer.headers.items()}
    return answer._replace(headers=headers, body=body)


def redacted_body(body: bytes, secrets: Secrets) -> str:
    """Return a body as text with the secrets redacted, whatever escapes JSON spells them with."""
    text = body.decode("utf-8", "replace")
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    has_secret = any(form in plain for secret in secrets for form in escaped_forms(secret))
    return redact(plain if has_secret else text, secrets)


def redact_error(error: TaskCountsError, secrets: Secrets) -> TaskCountsError:
    """Return an error after redacting the secrets in it and in its causes, and dropping the causes' frames.

    JSON escapes conceal a secret until the body is parsed; the transport's errors quote the bytes that it
    could not read; and their frames hold the request with its Authorization header.
    """
    error.args = tuple(redact_value(argument, secrets) for argument in error.args)
    vars(error).update({name: redact_value(value, secrets) for name, value in vars(error).items()})
    for cause in causes_of(error.__cause__):
        cause.__traceback__ = None
        cause.args = tuple(redact_value(argument, secrets) for argument in cause.args)
    return error
