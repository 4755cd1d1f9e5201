"""Mutants of any answer: its status, headers, media type and body."""

from __future__ import annotations

import gzip
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import cycle
from typing import Any, NamedTuple
from urllib.parse import quote

from contract.mutants.server import Answer, Mutant, Request, Serve, Server
from contract.target import COUNTS, JOB, JOBS, TASKS
from taskcounts_rest import contract

NAMES = {COUNTS: "counts", TASKS: "tasks", JOB: "job", JOBS: "jobs"}
GETS_ONLY = "a named endpoint gets no other verb"

Change = Callable[[Answer], None]


def where(fits: Callable[[Request, Answer], bool], change: Change) -> Serve:
    """Return a server that changes some of its answers."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        if fits(request, answer):
            change(answer)
        return answer

    return serve


def results(change: Change, *operations: str) -> Serve:
    """Return a server that changes its right answers to some operations, or to all of them."""
    asked = operations or tuple(NAMES)
    return where(lambda request, answer: answer.status == 200 and request.operation in asked, change)


def errors(change: Change, *statuses: int, operation: str | None = None) -> Serve:
    """Return a server that changes its errors."""
    return where(
        lambda request, answer: (
            answer.status >= 400
            and (not statuses or answer.status in statuses)
            and (operation is None or request.operation == operation)
        ),
        change,
    )


def value(change: Callable[[Any], Any]) -> Change:
    """Change the body's value, to what is returned or in place."""

    def spoil(answer: Answer) -> None:
        if answer.body:
            body = answer.json
            changed = change(body)
            answer.json = body if changed is None else changed

    return spoil


def replaced(change: Callable[[Any], Any]) -> Change:
    """Put what is returned in the place of the body's value, None too."""

    def spoil(answer: Answer) -> None:
        if answer.body:
            answer.json = change(answer.json)

    return spoil


def text(change: Callable[[bytes], bytes]) -> Change:
    """Change the bytes of the body."""

    def spoil(answer: Answer) -> None:
        answer.body = change(answer.body)

    return spoil


def header(name: str, new: str | None) -> Change:
    """Set a header, or leave it out."""

    def spoil(answer: Answer) -> None:
        answer.headers.pop(name, None)
        if new is not None:
            answer.headers[name] = new

    return spoil


def status(wrong: int) -> Change:
    """Set the status."""

    def spoil(answer: Answer) -> None:
        answer.status = wrong

    return spoil


# Schemas


class Violation(NamedTuple):
    """A way to break one keyword of a schema.

    Attributes:
        pointer: The member whose schema has the keyword.
        keyword: The keyword; of `required`, with the name of the member.
        wrong: What stands there instead.
        change: Returns the value that breaks it, given one that doesn't.
    """

    pointer: str
    keyword: str
    wrong: str
    change: Callable[[Any], Any]


# Values of another type than the one that is asked for.
_OTHER_TYPES: Mapping[str, tuple[Callable[[Any], Any], ...]] = {
    "object": (lambda _: None, lambda members: [members]),
    "array": (lambda _: None, lambda items: dict(enumerate(items))),
    "integer": (str, float, lambda _: None, lambda _: True),
    "string": (lambda _: 7, lambda _: None),
    "boolean": (lambda flag: str(flag).lower(), lambda _: None),
}
_OTHER_FORMS: Mapping[str, tuple[Any, ...]] = {
    "int32": (2**31,),
    "date-time": (
        "2024-08-01T12:34:56",
        "2024-08-01",
        "Thu, 01 Aug 2024 12:34:56 GMT",
        "0001-13-01T00:00:00Z",
    ),
}
_SAMPLES: Mapping[str, Any] = {
    "integer": 1,
    "boolean": False,
    "array": [],
    "date-time": "2024-08-01T12:34:56Z",
}


def sample(schema: Mapping[str, Any]) -> Any:
    """Return a value that the schema allows."""
    if schema["type"] == "object":
        return {name: sample(schema["properties"][name]) for name in schema.get("required", ())}
    return _SAMPLES.get(schema.get("format", ""), _SAMPLES.get(schema["type"], "text"))


def violations(schema: Mapping[str, Any], pointer: str = "$") -> Iterator[Violation]:
    """Yield a violation of each keyword of a schema, and of those below it."""
    for other in _OTHER_TYPES[schema["type"]]:
        yield Violation(pointer, "type", repr(other(sample(schema))), other)
    if "minimum" in schema:
        yield Violation(pointer, "minimum", "one less", _always(schema["minimum"] - 1))
    for wrong in _OTHER_FORMS.get(schema.get("format", ""), ()):
        yield Violation(pointer, "format", str(wrong), _always(wrong))
    for name in schema.get("required", ()):
        yield Violation(pointer, f"required {name}", "missing", _without(name))
    for name, member in schema.get("properties", {}).items():
        for violation in violations(member, f"{pointer}.{name}"):
            yield violation._replace(change=_in_member(name, sample(member), violation.change))
    if "items" in schema:
        for violation in violations(schema["items"], f"{pointer}[]"):
            yield violation._replace(change=_in_last(violation.change))


def _always(wrong: Any) -> Callable[[Any], Any]:
    return lambda _: wrong


def _without(name: str) -> Callable[[Any], Any]:
    return lambda members: {key: member for key, member in members.items() if key != name}


def _in_member(name: str, right: Any, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda members: {**members, name: change(members.get(name, right))}


def _in_last(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda items: [*items[:-1], *map(change, items[-1:])]


def _schemas() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for pointer, keyword, wrong, change in violations(contract.OPERATIONS[operation].result):
            yield Mutant(
                f"{name}: schema",
                f"{pointer} {keyword}: {wrong}",
                frozenset({"result-body"}),
                results(replaced(change), operation),
            )
    for pointer, keyword, wrong, change in violations(contract.ERROR):
        yield Mutant(
            "errors: schema",
            f"{pointer} {keyword}: {wrong}",
            frozenset({"error-body"}),
            errors(replaced(change)),
        )


# Bytes


def _compress(answer: Answer) -> None:
    answer.headers["content-encoding"] = "gzip"
    answer.body = gzip.compress(answer.body)


_BYTES: Mapping[str, Change] = {
    "empty": text(lambda _: b""),
    "cut": text(lambda body: body[:-9]),
    "UTF-16": text(lambda body: body.decode().encode("utf-16")),
    "Latin-1": text(lambda body: body.replace(b"{", b'{"\xe9":0,', 1)),
    "HTML": text(lambda _: b"<html><body>It works!</body></html>"),
    "twice": text(lambda body: body + body),
    "a member twice": text(lambda body: body.replace(b"{", b'{"odata.metadata":"",', 1)),
    "NaN": text(lambda body: body.replace(b"{", b'{"NaN":NaN,', 1)),
    "in an array": text(lambda body: b"[" + body + b"]"),
    "in an object": text(lambda body: b'{"error":' + body + b"}"),
    "as text": text(lambda body: json.dumps(body.decode()).encode()),
    "compressed": _compress,
}


def _bodies() -> Iterator[Mutant]:
    for what, change in _BYTES.items():
        for operation, name in NAMES.items():
            yield Mutant(f"{name}: bytes", what, frozenset({"result-body"}), results(change, operation))
        yield Mutant("errors: bytes", what, frozenset({"error-body"}), errors(change))
    for operation, name in NAMES.items():
        for what, spoil in _ERRORS.items():
            serve = errors(value(spoil), operation=operation)
            yield Mutant("errors: members", f"{name}: {what}", frozenset({"error-body"}), serve)


_ERRORS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "no code": lambda error: error.pop("code") and None,
    "a blank code": lambda error: error.update(code=""),
    "no message": lambda error: error.pop("message") and None,
    "a blank message": lambda error: error["message"].update(value=""),
}


# Statuses and codes


def _code(code: str) -> Change:
    return value(lambda error: error.update(code=code))


def _refused(wrong: int) -> Change:
    """Refuse a right request."""

    def spoil(answer: Answer) -> None:
        answer.status = wrong
        code = contract.OPERATIONS[JOB].error_codes.get(wrong, ("InternalError",))[-1]
        answer.json = {"code": code, "message": {"lang": "en-US", "value": "No."}}

    return spoil


# Where each status of an error comes from, and whether only other verbs than GET have it.
_STATUSES = {400: (401, 404, 422, 500, 302), 401: (400, 403, 404, 500), 403: (400, 401, 404, 500)}
_STATUSES |= {404: (400, 401, 410, 500), 405: (400, 404, 501)}
_ACCEPTED_CODES = {
    400: "InvalidInput",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "BadVerb",
}
# Codes of the fragment that belong to another status.
_OTHER_CODES = {400: "JobNotFound", 401: "InvalidHeaderValue", 403: "ServerBusy", 404: "AuthenticationFailed"}
_OTHER_CODES |= {405: "InvalidUri"}


def _reachable(operation: str, number: int) -> bool:
    """Return whether an operation can be made to answer with a status: the list of jobs is always there."""
    return not (operation == JOBS and number == 404)


def _statuses() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for wrong in (201, 202, 206, 302, 500, 502):
            yield Mutant(
                "status: success",
                f"{name}: {wrong} for 200",
                frozenset({"status", "right-request"}),
                results(status(wrong), operation),
            )
        for wrong in (400, 404, 409):
            yield Mutant(
                "status: refusal",
                f"{name}: {wrong} for 200",
                _REFUSED[operation],
                results(_refused(wrong), operation),
            )
        for right, others in _STATUSES.items():
            if not _reachable(operation, right):
                continue
            unseen = GETS_ONLY if right == 405 else ""
            for wrong in others:
                yield Mutant(
                    "status: errors",
                    f"{name}: {wrong} for {right}",
                    frozenset({"status", *_PROVOKED[right]}),
                    errors(status(wrong), right, operation=operation),
                    unseen,
                )
            for code in (_ACCEPTED_CODES[right], _OTHER_CODES[right], _ACCEPTED_CODES[right].lower()):
                yield Mutant(
                    "errors: codes",
                    f"{name}: {code} with {right}",
                    frozenset({"error-code", *_PROVOKED[right]}),
                    errors(_code(code), right, operation=operation),
                    unseen,
                )
    yield Mutant(
        "status: errors",
        "405 without Allow",
        frozenset({"other-verbs"}),
        errors(header("allow", None), 405),
        GETS_ONLY,
    )
    yield Mutant(
        "status: errors",
        "405 that allows only POST",
        frozenset({"other-verbs", "allow_header_conformance"}),
        errors(header("allow", "POST"), 405),
        GETS_ONLY,
    )
    for operation, name in NAMES.items():
        yield Mutant(
            "status: errors",
            f"{name}: 401 without a challenge",
            frozenset({"no-credential"}),
            errors(header("www-authenticate", None), 401, operation=operation),
        )


_REFUSED = {
    COUNTS: frozenset({"right-request"}),
    TASKS: frozenset({"task-pages", "query-names", "job-case"}),
    JOB: frozenset({"job-case", "job-filters"}),
    JOBS: frozenset({"job-pages", "job-filters"}),
}
# The probes that provoke each error.
_PROVOKED = {
    400: ("version-required", "bad-headers", "bad-filters", "bad-selections", "negative_data_rejection"),
    401: ("no-credential", "wrong-token"),
    403: ("wrong-signature", "stale-date"),
    404: ("unknown-job",),
    405: ("other-verbs",),
}


# Headers

# Wrong values of each header that the fragment describes, by what is wrong with them.
_WRONG: Mapping[str, Mapping[str, str]] = {
    "request-id": {
        "no GUID": "42",
        "in braces": "{730e1b9c-034b-4162-aa94-9e4f2ce0cebd}",
        "without hyphens": "730e1b9c034b4162aa949e4f2ce0cebd",
        "blank": "",
    },
    "last-modified": {
        "ISO 8601": "2024-08-01T12:34:56Z",
        "RFC 850": "Thursday, 01-Aug-24 12:34:56 GMT",
        "asctime": "Thu Aug  1 12:34:56 2024",
        "another zone": "Thu, 01 Aug 2024 12:34:56 +0000",
        "another weekday": "Mon, 01 Aug 2024 12:34:56 GMT",
        "no date": "Thu, 31 Feb 2024 12:34:56 GMT",
        "a number": "1722515696",
        "blank": "",
    },
    "etag": {"blank": ""},
    "retry-after": {
        "a word": "soon",
        "a fraction": "1.5",
        "negative": "-1",
        "ISO 8601": "PT30S",
        "blank": "",
    },
}
_AGES = ("0", "5", "86400")


def _headers() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        success = {
            version: operations[operation].headers for version, operations in contract.VERSIONS.items()
        }
        failure = {
            version: operations[operation].error_headers for version, operations in contract.VERSIONS.items()
        }
        for which, described, spoil in (("", success, _result), (" with errors", failure, _error)):
            for wrong_header, values in _WRONG.items():
                # Where a header isn't described, nobody says what it has to be.
                versions = tuple(
                    version
                    for version, headers in described.items()
                    if wrong_header in map(str.lower, headers)
                )
                for what, wrong in values.items() if versions else ():
                    yield Mutant(
                        "headers: format",
                        f"{name}: {wrong_header} {what}{which}",
                        frozenset({"headers", "request-id"}),
                        spoil(header(wrong_header, wrong), operation),
                        versions=versions,
                    )
            yield Mutant(
                "headers: missing",
                f"{name}: request-id{which}",
                frozenset({"request-id"}),
                spoil(header("request-id", None), operation),
            )
            for age in _AGES:
                yield Mutant(
                    "headers: age",
                    f"{name}: {age}{which}",
                    frozenset({"age"}),
                    spoil(header("age", age), operation),
                )
    for what, serve in _IDS.items():
        for operation, name in NAMES.items():
            yield Mutant(
                "headers: request-id", f"{name}: {what}", frozenset({"fresh-ids"}), _for(operation, serve)
            )


def _result(change: Change, operation: str) -> Serve:
    return results(change, operation)


def _error(change: Change, operation: str) -> Serve:
    return errors(change, operation=operation)


def _for(operation: str, serve: Serve) -> Serve:
    """Serve one operation in one way, and the others right."""
    return lambda server, request: (
        serve(server, request) if request.operation == operation else server.ask(request)
    )


def _same_id(server: Server, request: Request) -> Answer:
    """Give every request the id of the first."""
    answer = server.ask(request)
    answer.headers["request-id"] = server.memory.setdefault("id", answer.headers["request-id"])
    return answer


def _two_ids(server: Server, request: Request) -> Answer:
    """Give the requests two ids in turn."""
    answer = server.ask(request)
    ids = server.memory.setdefault("ids", [])
    ids.append(answer.headers["request-id"])
    answer.headers["request-id"] = ids[(len(ids) - 1) % 2]
    return answer


def _id_of_url(server: Server, request: Request) -> Answer:
    """Give equal requests the same id, as a cache does."""
    answer = server.ask(request)
    answer.headers["request-id"] = server.memory.setdefault(request.target, answer.headers["request-id"])
    return answer


_IDS = {"the same again": _same_id, "two in turn": _two_ids, "the same for a URL": _id_of_url}


# The caller's id


def _echo(change: Callable[[Server, Request, Answer, str], None]) -> Serve:
    """Return a server that deals with the caller's id in its own way."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        own = request.headers.get("client-request-id", "")
        change(server, request, answer, own)
        return answer

    return serve


def _set_if(
    condition: Callable[[Request, Answer, str], bool], new: Callable[[Server, str], str | None]
) -> Serve:
    def change(server: Server, request: Request, answer: Answer, own: str) -> None:
        if condition(request, answer, own):
            header("client-request-id", new(server, own))(answer)

    return _echo(change)


def _comes(_: Request, answer: Answer, __: str) -> bool:
    return "client-request-id" in answer.headers


_ECHOES: Mapping[str, Serve] = {
    "unasked": _set_if(lambda _, answer, own: bool(own) and answer.status == 200, lambda _, own: own),
    "its own": _set_if(lambda _, answer, own: not own and answer.status == 200, lambda *_: str(uuid.uuid4())),
    "missing": _set_if(_comes, lambda *_: None),
    "missing with errors": _set_if(
        lambda request, answer, own: _comes(request, answer, own) and answer.status >= 400, lambda *_: None
    ),
    "missing with strangers": _set_if(
        lambda request, answer, own: _comes(request, answer, own) and answer.status in (401, 403),
        lambda *_: None,
    ),
    "of the first request": _set_if(_comes, lambda server, own: server.memory.setdefault("own", own)),
    "another's": _set_if(_comes, lambda *_: str(uuid.uuid4())),
    "twice": _set_if(_comes, lambda _, own: f"{own}, {own}"),
    "in braces": _set_if(_comes, lambda _, own: f"{{{own}}}"),
    "blank": _set_if(_comes, lambda *_: ""),
}


def _echoes() -> Iterator[Mutant]:
    for operation, name in NAMES.items():
        for what, serve in _ECHOES.items():
            yield Mutant(
                "echo",
                f"{name}: {what}",
                frozenset({"echo", "own-id", "no-credential"}),
                _for(operation, serve),
            )


# Media types

_TYPES = {
    "text/json": "text/json;odata=minimalmetadata",
    "text/html": "text/html",
    "no metadata": "application/json",
    "full metadata": "application/json;odata=fullmetadata",
    "XML": "application/atom+xml;odata=minimalmetadata",
    "problem+json": "application/problem+json;odata=minimalmetadata",
    "missing": None,
}


def _told_id(answer: Answer) -> None:
    """Tell another id of the request in the message."""
    error = answer.json
    error["message"]["value"] = re.sub("RequestId:.*", f"RequestId:{uuid.uuid4()}", error["message"]["value"])
    answer.json = error


def _impatient(wish: str) -> Serve:
    """Return a server that asks for patience at every tenth request, in no form that there is."""

    def serve(server: Server, request: Request) -> Answer:
        number = server.memory["number"] = server.memory.get("number", 0) + 1
        answer = server.ask(request)
        if number % 10 == 0 and answer.status == 200:
            answer.status, answer.headers["retry-after"] = 429, wish
            message = {"lang": "en-US", "value": "Too many requests."}
            answer.json = {"code": "TooManyRequests", "message": message}
        return answer

    return serve


def _renewed(name: str, new: Callable[[], str]) -> Serve:
    """Return a server that gives a job another value of a header each time."""
    return results(lambda answer: answer.headers.update({name: new()}), JOB)


def _versions() -> Iterator[Mutant]:
    dates = (f"Thu, 01 Aug 2024 12:34:{second:02} GMT" for second in cycle(range(60)))
    for what, serve in (
        ("ETag", _renewed("etag", lambda: str(uuid.uuid4()))),
        ("Last-Modified", _renewed("last-modified", lambda: next(dates))),
    ):
        yield Mutant("headers: new each time", f"Job_Get: {what}", frozenset({"job-version"}), serve)
    for wish in ("soon", "-5", "2024-08-01T12:34:56Z"):
        yield Mutant("throttled", f"for {wish}", frozenset({"headers"}), _impatient(wish))
    for operation, name in NAMES.items():
        serve = errors(_told_id, operation=operation)
        yield Mutant("errors", f"{name}: another request in the message", frozenset({"error-body"}), serve)


def _media_types() -> Iterator[Mutant]:
    for what, media_type in _TYPES.items():
        change = header("content-type", media_type)
        for operation, name in NAMES.items():
            yield Mutant(
                "media type", f"{name}: {what}", frozenset({"media-type"}), results(change, operation)
            )
            yield Mutant(
                "media type",
                f"{name}: {what} for errors",
                frozenset({"media-type"}),
                errors(change, operation=operation),
            )


# Secrets


def _repeat(request: Request, answer: Answer, how: str) -> None:
    secret = request.headers.get("authorization", "")
    match how:
        case "in a header":
            answer.headers["x-ms-authorization"] = secret
        case "in the body" if answer.body:
            answer.json = answer.json | {"odata.debug": secret}
        case "in the message" if answer.status >= 400 and answer.body:
            error = answer.json
            error["message"]["value"] += f" Authorization: {secret}"
            answer.json = error
        case "the signature alone" if answer.body:
            answer.json = answer.json | {"odata.debug": secret.rpartition(":")[2]}
        case "escaped" if answer.body:
            answer.json = answer.json | {"odata.debug": "(secret)"}
            answer.body = answer.body.replace(b"(secret)", secret.replace("/", "\\/").encode())


def _secrets() -> Iterator[Mutant]:
    for how in ("in a header", "in the body", "in the message", "the signature alone", "escaped"):
        for operation, name in NAMES.items():

            def serve(server: Server, request: Request, how: str = how, operation: str = operation) -> Answer:
                answer = server.ask(request)
                if request.operation == operation:
                    _repeat(request, answer, how)
                return answer

            yield Mutant("secrecy", f"{name}: the credential {how}", frozenset({"secrecy"}), serve)
    for what, tell in _KEYS.items():
        for operation, name in NAMES.items():
            yield Mutant("secrecy", f"{name}: {what}", frozenset({"secrecy"}), _for(operation, tell))


def _shown(part: Callable[[str], str]) -> Serve:
    """Return a server that shows a part of the account's key in its answers."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        answer.headers["x-ms-debug"] = part(server.emulator.key)
        return answer

    return serve


_KEYS = {
    "the key": _shown(lambda key: key),
    "half of the key": _shown(lambda key: key[len(key) // 2 :]),
    "the key in a URL": _shown(lambda key: quote(key, safe="")),
}


def mutants() -> Iterable[Mutant]:
    """Yield the mutants of any answer."""
    for family in (_schemas, _bodies, _statuses, _headers, _echoes, _versions, _media_types, _secrets):
        yield from family()
