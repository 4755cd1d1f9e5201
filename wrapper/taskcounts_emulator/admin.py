"""The admin API of the emulator, under ``/_emulator/``: JSON in, JSON out.

====== ==================== =========================================================================
GET    /_emulator/health    status, account, version and api-versions of the emulator
GET    /_emulator/jobs      every job with its true counts, regardless of faults and lag
POST   /_emulator/scenario  applies a scenario: jobs, pools and settings
POST   /_emulator/step      ``{"job": id, "start": n, "succeed": n, "fail": n}``: starts and completes tasks
GET    /_emulator/clock     the kind of the clock, ``machine`` or ``scripted``, and its time
POST   /_emulator/advance   ``{"seconds": n}``: advances a scripted clock
POST   /_emulator/seed      ``{"seed": n}``: sets the seed of all further random draws
GET    /_emulator/lag       the lag model, by which reported counts trail the true ones
POST   /_emulator/lag       sets it, as the ``lag`` of a scenario does
DELETE /_emulator/lag       clears it, so that the true counts are reported
GET    /_emulator/faults    the faults, with the number of requests that each has left
POST   /_emulator/faults    adds a fault
DELETE /_emulator/faults    removes all faults
GET    /_emulator/journal   the last requests; ``?after=`` a number, at most ``&limit=`` entries (1000)
DELETE /_emulator/journal   clears the journal
GET    /_emulator/snapshots the names of the snapshots
POST   /_emulator/snapshots ``{"name": text}``: copies everything except faults and journal
DELETE /_emulator/snapshots deletes all snapshots
POST   /_emulator/restore   ``{"name": text}``: restores a snapshot
POST   /_emulator/reset     removes jobs, tasks, settings, faults and journal
====== ==================== =========================================================================

Errors are ``{"error": "one line"}`` with 400, 404 or 405. There is no authentication, so web pages in a
browser must be kept out: a request must name this machine as its host, must not come from a foreign origin,
and must declare its body as JSON, which no web page can do without permission.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from taskcounts import __version__
from taskcounts_emulator import json_reader
from taskcounts_emulator.account import EmulatedAccount
from taskcounts_emulator.api.asgi import Receive, Scope, Send, path_of
from taskcounts_emulator.errors import EmulatorError, NoSuchJob
from taskcounts_emulator.faults.connection import ClientDisconnected
from taskcounts_emulator.faults.plan import parse_fault
from taskcounts_emulator.versions import VERSIONS

__all__ = ["MAX_BODY", "Admin"]

MAX_BODY = 64 * 2**20

_JsonObject = dict[str, object]

# The query parameters by endpoint; the other endpoints have none.
_PARAMETERS = {("journal", "GET"): ("after", "limit")}

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

_NUMBER = re.compile(r"[0-9]{1,15}")

logger = logging.getLogger("taskcounts_emulator")


@dataclass(frozen=True, slots=True)
class _AdminResponse:
    """A response of the admin API."""

    status: int
    document: _JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _AdminRequest:
    """The body of an admin request, and the numbers of its query."""

    body: bytes
    numbers: Mapping[str, int]

    def members(self, path: str, *known: str, required: str) -> dict[str, object]:
        """Return the members of the body: the required one, and any of the known ones."""
        return json_reader.members(json_reader.read_json(self.body), path, (required, *known), (required,))


class Admin:
    """The admin API as an ASGI application."""

    def __init__(self, service: EmulatedAccount) -> None:
        self._service = service
        self._actions: Mapping[str, Mapping[str, Callable[[_AdminRequest], _JsonObject]]] = {
            "health": {"GET": self._health},
            "jobs": {"GET": self._jobs},
            "scenario": {"POST": lambda request: {"added": service.load(request.body)}},
            "step": {"POST": self._step},
            "clock": {"GET": lambda _: service.clock()},
            "advance": {"POST": self._advance},
            "seed": {"POST": self._set_seed},
            "lag": {"GET": lambda _: service.lag(), "POST": self._set_lag, "DELETE": self._clear_lag},
            "faults": {
                "GET": self._faults,
                "POST": self._set_fault,
                "DELETE": lambda _: {"cleared": service.clear_faults()},
            },
            "journal": {
                "GET": lambda request: service.journal.as_json(**request.numbers),
                "DELETE": lambda _: {"cleared": service.journal.clear()},
            },
            "snapshots": {
                "GET": self._snapshots,
                "POST": self._snapshot,
                "DELETE": lambda _: {"dropped": service.drop_snapshots()},
            },
            "restore": {"POST": self._restore},
            "reset": {"POST": self._reset},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(scope, receive)
        except ClientDisconnected:
            return
        body = f"{json.dumps(response.document)}\n".encode()
        headers = {
            **response.headers,
            "content-length": str(len(body)),
            "content-type": "application/json; charset=utf-8",
        }
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    async def _response(self, scope: Scope, receive: Receive) -> _AdminResponse:
        name, method = path_of(scope).removeprefix("/_emulator/"), scope["method"]
        actions = self._actions.get(name)
        if actions is None:
            return _error(
                404,
                f"there is no such endpoint; the endpoints under /_emulator/ are {', '.join(self._actions)}",
            )
        action = actions.get(method)
        if action is None:
            allowed = ", ".join(actions)
            return _error(405, f"this endpoint accepts only {allowed}", {"allow": allowed})
        try:
            headers = _headers(scope)
            self._check_origin(headers, scope.get("server"))
            numbers = _numbers(scope["query_string"].decode("latin-1"), _PARAMETERS.get((name, method), ()))
            return _AdminResponse(200, action(_AdminRequest(await _body(headers, receive), numbers)))
        except NoSuchJob as error:
            return _error(404, str(error))
        except EmulatorError as error:
            return _error(400, str(error))
        except ClientDisconnected:
            raise
        except Exception:
            logger.exception("an admin request failed")
            return _error(500, "internal error of the emulator; see its log")

    def _check_origin(self, headers: Mapping[str, list[str]], server: tuple[str, int | None] | None) -> None:
        """Refuse a request that a page of another site could send, by its Host or its Origin."""
        own = {*self._service.admin_hosts, "" if server is None else server[0].lower()}
        hosts = headers.get("host", [])
        # Other forms are ambiguous: parsers disagree about them.
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]) or not _is_own(f"//{hosts[0]}", own):
            raise EmulatorError(
                "the admin API accepts only a name of this machine as Host, such as 127.0.0.1 or localhost"
            )
        origins, sites = headers.get("origin", []), headers.get("sec-fetch-site", [])
        if "cross-site" in sites or not all(_is_own(origin, own) for origin in origins):
            raise EmulatorError("the admin API refuses requests from web pages of other sites")

    def _health(self, _: _AdminRequest) -> _JsonObject:
        return {
            "status": "ok",
            "account": self._service.account,
            "version": __version__,
            "apiVersions": list(VERSIONS),
            "clock": self._service.clock(),
        }

    def _jobs(self, _: _AdminRequest) -> _JsonObject:
        counts = self._service.all_counts()
        return {"jobs": [{"id": job_id, **of_job.as_json()} for job_id, of_job in counts.items()]}

    def _step(self, request: _AdminRequest) -> _JsonObject:
        names = ("start", "succeed", "fail")
        given = request.members("step", *names, required="job")
        job_id = json_reader.text(given["job"], "job")
        # The account checks that these are numbers, with the same message for callers in Python.
        numbers: dict[str, int] = {name: given[name] for name in names if name in given}  # type: ignore[misc]
        self._service.step(job_id, **numbers)
        return {"job": job_id, **self._service.counts(job_id).as_json()}

    def _advance(self, request: _AdminRequest) -> _JsonObject:
        # As in `_step`, the account checks the type.
        seconds: float = request.members("advance", required="seconds")["seconds"]  # type: ignore[assignment]
        return {"now": self._service.advance(seconds).isoformat()}

    def _set_seed(self, request: _AdminRequest) -> _JsonObject:
        seed = request.members("seed", required="seed")["seed"]
        self._service.set_seed(seed)
        return {"seed": seed}

    def _set_lag(self, request: _AdminRequest) -> _JsonObject:
        self._service.set_lag(json_reader.read_json(request.body))
        return self._service.lag()

    def _clear_lag(self, _: _AdminRequest) -> _JsonObject:
        self._service.clear_lag()
        return self._service.lag()

    def _faults(self, _: _AdminRequest) -> _JsonObject:
        return {"faults": self._service.faults.as_json()}

    def _set_fault(self, request: _AdminRequest) -> _JsonObject:
        self._service.set_fault(parse_fault(json_reader.read_json(request.body)))
        return self._faults(request)

    def _snapshots(self, _: _AdminRequest) -> _JsonObject:
        return {"snapshots": self._service.snapshots()}

    def _snapshot(self, request: _AdminRequest) -> _JsonObject:
        self._service.snapshot(json_reader.text(request.members("snapshot", required="name")["name"], "name"))
        return self._snapshots(request)

    def _restore(self, request: _AdminRequest) -> _JsonObject:
        name = json_reader.text(request.members("restore", required="name")["name"], "name")
        self._service.restore(name)
        return {"restored": name}

    def _reset(self, _: _AdminRequest) -> _JsonObject:
        self._service.reset()
        return {"status": "ok"}


def _headers(scope: Scope) -> dict[str, list[str]]:
    """Return the values of each header, by its name in lower case."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def _numbers(query: str, known: tuple[str, ...]) -> dict[str, int]:
    """Return the parameters of a query, all of which are whole numbers."""
    numbers: dict[str, int] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known or name in numbers:
            allowed = f"takes {', '.join(known)}, each once" if known else "takes none"
            raise EmulatorError(f"unknown parameter {json_reader.show(name)}; this endpoint {allowed}")
        if not _NUMBER.fullmatch(value):
            raise EmulatorError(
                f"{name}: must be a whole number of at most 15 digits, not {json_reader.show(value)}"
            )
        numbers[name] = int(value)
    return numbers


async def _body(headers: Mapping[str, list[str]], receive: Receive) -> bytes:
    """Return the body of a request; one that is too long is refused without reading all of it.

    Raises:
        ClientDisconnected: The caller closed the connection before the end of the body.
    """
    parts, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        parts += message.get("body", b"")
        more = message.get("more_body", False)
        if len(parts) > MAX_BODY:
            raise EmulatorError(f"the body is longer than {MAX_BODY // 2**20} MiB")
    kind = headers.get("content-type", [""])[0].partition(";")[0].strip().lower()
    if parts and kind != "application/json":
        raise EmulatorError("the Content-Type of the body must be application/json")
    return bytes(parts)


def _is_own(url: str, own: set[str]) -> bool:
    """Return whether a URL's host is this machine, by a loopback name or one of the given names."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or host in own
    except ValueError:
        return host != "" and host in own


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> _AdminResponse:
    return _AdminResponse(status, {"error": message}, headers or {})
