"""The administration of the emulator, over HTTP under ``/_emulator/``: JSON in, JSON out.

====== =================== ===============================================================
GET    /_emulator/health   that the emulator is there, and for which account
GET    /_emulator/jobs     every job with its true counts, whatever faults are set
POST   /_emulator/scenario adds the jobs of a scenario
POST   /_emulator/step     ``{"job": id, "start": n, "succeed": n, "fail": n}``
GET    /_emulator/faults   the faults that are set, with the calls that each has left
POST   /_emulator/faults   sets a fault
DELETE /_emulator/faults   clears them
POST   /_emulator/reset    forgets jobs, tasks and faults
====== =================== ===============================================================

Errors are ``{"error": "one line"}`` with 400, 404 or 405. Nobody has to authenticate, so that a page in
a browser must not get here: a request must name this machine as its host, come from no foreign origin,
and say that its body is JSON, which no page can do unasked.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskcounts.emulator import documents
from taskcounts.emulator.errors import EmulatorError, NoSuchJob
from taskcounts.emulator.faults import parse_fault
from taskcounts.emulator.service import EmulatedAccount

__all__ = ["MAX_BODY", "Admin"]

MAX_BODY = 64 * 2**20

_Told = dict[str, object]

_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

logger = logging.getLogger("taskcounts.emulator")


class Admin:
    """The administration as an ASGI application."""

    def __init__(self, service: EmulatedAccount) -> None:
        self._service = service
        self._actions: Mapping[str, Mapping[str, Callable[[bytes], _Told]]] = {
            "health": {"GET": self._health},
            "jobs": {"GET": self._jobs},
            "scenario": {"POST": self._scenario},
            "step": {"POST": self._step},
            "faults": {"GET": self._faults, "POST": self._set_fault, "DELETE": self._clear_faults},
            "reset": {"POST": self._reset},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        # Where the application is mounted is no part of the address, here as in Starlette's own routes.
        path = request.scope["path"].removeprefix(request.scope["root_path"])
        actions = self._actions.get(path.removeprefix("/"))
        if actions is None:
            return _error(404, f"no such address; there are {', '.join(self._actions)} under /_emulator/")
        action = actions.get(request.method)
        if action is None:
            allowed = ", ".join(actions)
            return _error(405, f"this address knows {allowed} alone", {"allow": allowed})
        try:
            self._check_origin(request)
            body = await _body(request)
            return _json(200, action(body))
        except NoSuchJob as error:
            return _error(404, str(error))
        except EmulatorError as error:
            return _error(400, str(error))
        except ClientDisconnect:
            raise
        except Exception:
            logger.exception("the administration failed")
            return _error(500, "the emulator failed; its log says how")

    def _check_origin(self, request: Request) -> None:
        """Refuse what a page of another site could send: by its name for us, or by its own name."""
        server = request.scope.get("server") or ("", None)
        own = {*self._service.admin_hosts, str(server[0]).lower()}
        hosts = request.headers.getlist("host")
        # Anything but a host and a port could be read in two ways.
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]) or not _is_own(f"//{hosts[0]}", own):
            raise EmulatorError(
                "the administration answers only under a name of this machine, such as 127.0.0.1 or localhost"
            )
        origin = request.headers.get("origin")
        if (origin is not None and not _is_own(origin, own)) or request.headers.get(
            "sec-fetch-site"
        ) == "cross-site":
            raise EmulatorError("the administration answers no page of another site")

    def _health(self, _: bytes) -> _Told:
        return {"status": "ok", "account": self._service.account}

    def _jobs(self, _: bytes) -> _Told:
        counts = self._service.all_counts()
        return {"jobs": [{"id": job_id, **of_job.as_json()} for job_id, of_job in counts.items()]}

    def _scenario(self, body: bytes) -> _Told:
        return {"added": self._service.load(body)}

    def _step(self, body: bytes) -> _Told:
        names = ("start", "succeed", "fail")
        given = documents.members(documents.read_json(body), "step", ("job", *names))
        if "job" not in given:
            raise EmulatorError("step: the member 'job' is missing")
        job_id = documents.text(given["job"], "job")
        # That they are numbers is for the service to see: it says the same to Python's callers.
        numbers: dict[str, int] = {name: given[name] for name in names if name in given}  # type: ignore[misc]
        self._service.step(job_id, **numbers)
        return {"job": job_id, **self._service.counts(job_id).as_json()}

    def _faults(self, _: bytes) -> _Told:
        return {"faults": self._service.faults.as_json()}

    def _set_fault(self, body: bytes) -> _Told:
        self._service.set_fault(parse_fault(documents.read_json(body)))
        return self._faults(b"")

    def _clear_faults(self, _: bytes) -> _Told:
        return {"cleared": self._service.clear_faults()}

    def _reset(self, _: bytes) -> _Told:
        self._service.reset()
        return {"status": "ok"}


async def _body(request: Request) -> bytes:
    """Return the body of a request, refused as soon as it is too long or not said to be JSON."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY:
            raise EmulatorError(f"a body has at most {MAX_BODY // 2**20} MiB")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if parts and kind != "application/json":
        raise EmulatorError("the content-type of a body must be application/json")
    return bytes(parts)


def _is_own(url: str, own: set[str]) -> bool:
    """Return whether a URL's host is this machine, or one of its names."""
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


def _json(status: int, told: _Told, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        json.dumps(told) + "\n", status, dict(headers or {}), media_type="application/json; charset=utf-8"
    )


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json(status, {"error": message}, headers)
