"""Decoding and checking of answers, from their bytes to JSON values; pure functions.

The checks are those of the fragment, from which `taskcounts_rest.contract` is derived.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import getitem
from typing import Any, NoReturn

from taskcounts.protocol.schema import Check, Violation
from taskcounts.snapshot import Inconsistency
from taskcounts.text import one_line
from taskcounts_rest.contract import MEDIA_TYPE

# The usual spellings of the content type; any other one is parsed.
USUAL_TYPES = frozenset({MEDIA_TYPE, MEDIA_TYPE.replace("; ", ";"), "application/json"})


# A parameter of a challenge, with the scheme in front of the first one (RFC 9110, 11.6.1). The lookbehind
# lets a match begin only where a name begins: otherwise a long name takes quadratic time.
_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]"
_PARAMETER = re.compile(
    rf"(?<!{_NAME})(?:(?P<scheme>{_NAME}+) +)?(?P<name>{_NAME}+)[ \t]*=[ \t]*"
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s,"]+))'
)


def read_result(headers: Mapping[str, str], body: bytes, check: Check) -> dict[str, Any]:
    """Return the JSON object of a 200, checked against the fragment.

    Args:
        headers: The answer's headers, names in lower case.
        body: The body, whole.
        check: The check of the operation's schema.

    Raises:
        Violation: The answer is not as the fragment describes it.
    """
    content_type = headers.get("content-type", "")
    if content_type not in USUAL_TYPES:
        check_type(content_type)
    result = read_json(headers, body)
    check(result)
    return result  # type: ignore[no-any-return]


def check_type(content_type: str) -> None:
    """Raise Violation if a content type is not that of JSON in UTF-8."""
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() != "application/json":
        shown = f"is {media_type.strip()!r}" if media_type.strip() else "is missing"
        raise Violation("$", f"its content type {shown}, not application/json")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in ("utf-8", "us-ascii"):
            raise Violation("$", f"it is in {value.strip()!r}, not in UTF-8")


def read_error(
    headers: Mapping[str, str], body: bytes
) -> tuple[str | None, str | None, tuple[tuple[str, str], ...]]:
    """Return the code, message and details of an error answer; None, None and () if they can't be read."""
    try:
        error = read_json(headers, body)
    except Violation:
        return None, None, ()
    if not isinstance(error, dict):
        return None, None, ()
    code, message, values = error.get("code"), error.get("message"), error.get("values")
    text = message.get("value") if isinstance(message, dict) else message
    details = tuple(
        (detail["key"], detail["value"])
        for detail in (values if isinstance(values, list) else ())
        if isinstance(detail, dict)
        and isinstance(detail.get("key"), str)
        and isinstance(detail.get("value"), str)
    )
    return code if isinstance(code, str) else None, text if isinstance(text, str) else None, details


def read_claims(challenges: str) -> str | None:
    """Return the claims, as JSON text, that a WWW-Authenticate header asks for; None if it asks for none.

    Source: https://learn.microsoft.com/entra/identity-platform/claims-challenge
    """
    scheme, parameters = "", dict[str, str]()
    for found in _PARAMETER.finditer(challenges):
        if found["scheme"]:
            scheme, parameters = found["scheme"].lower(), {}
        parameters[found["name"].lower()] = found["quoted"] or found["plain"] or ""
        claims = parameters.get("claims")
        if scheme == "bearer" and parameters.get("error") == "insufficient_claims" and claims:
            try:
                return urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).decode() or None
            except ValueError:
                return None
    return None


def read_json(headers: Mapping[str, str], body: bytes) -> Any:
    """Return the JSON value of a body, without the extensions that JSON parsers disagree about.

    Raises:
        Violation: The body is compressed, not UTF-8 or not JSON, has a member twice, a number that is not
            finite, or is nested too deeply.
    """
    coding = headers.get("content-encoding", "identity")
    if coding != "identity" and coding.strip().lower() != "identity":
        # The request asked for no compression, and decompression has no bound.
        raise Violation("$", f"it is compressed ({coding.strip().lower()}), which was not asked for")
    if not body:
        raise Violation("$", "it is empty")
    try:
        # Some proxies add a byte order mark, which means nothing but UTF-8.
        text = body.decode().removeprefix("\ufeff")
        if text.startswith("{"):
            # The usual answer has no white space around it, so there is none to search for.
            value, end = _DECODER.raw_decode(text)
            if end == len(text):
                return value
        return _DECODER.decode(text)
    except UnicodeDecodeError:
        raise Violation("$", "it is not UTF-8") from None
    except RecursionError:
        raise Violation("$", "it is nested too deeply") from None
    except ValueError as error:
        raise Violation("$", f"it is not JSON ({error})") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        times = Counter(name for name, _ in pairs)
        raise Violation(max(times, key=times.__getitem__), "the member is there twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Violation("$", f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Violation("$", f"{one_line(text, 20)} is too large a number")
    return number


# One decoder for all: making one takes as long as decoding an answer.
_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)


def find_inconsistencies(
    invariants: Iterable[Mapping[str, Any]], result: Mapping[str, Any]
) -> tuple[Inconsistency, ...]:
    """Return the fragment's invariants that a checked result breaks."""
    broken = []
    for rule in invariants:
        whole: Any = reduce(getitem, rule["whole"], result)
        parts: list[Any] = [reduce(getitem, part, result) for part in rule["parts"]]
        if whole != sum(parts):
            path = ".".join(rule["whole"])
            names, numbers = " + ".join(part[-1] for part in rule["parts"]), " + ".join(map(str, parts))
            text = f"{path} is {whole}, but {names} is {numbers} = {sum(parts)}"
            broken.append(Inconsistency(invariant=rule["name"], path=path, text=text))
    return tuple(broken)


def header_inconsistencies(headers: Mapping[str, str]) -> tuple[Inconsistency, ...]:
    """Return the signs in a 200's headers that it may belong to another request or come from a cache."""
    found = []
    if "client-request-id" not in headers:
        text = "the answer lacks the client-request-id that was asked for: it may belong to another request"
        found.append(Inconsistency(invariant="echo", path="client-request-id", text=text))
    if "request-id" not in headers:
        text = "the answer lacks the request-id that the service gives to each: it may be somebody else's"
        found.append(Inconsistency(invariant="request-id", path="request-id", text=text))
    if headers.get("age", "0").strip() != "0":
        text = f"the answer comes from a cache, where it is {one_line(headers['age'], 20)} seconds old"
        found.append(Inconsistency(invariant="age", path="age", text=text))
    return tuple(found)
