"""The generated client, sending over a client of ours: ``client.rest``.

The generated functions build the requests and parse the answers. In between, each request goes through the
flow, which signs it afresh on each attempt, retries it, keeps to the client's deadline, and checks the answer
as for the client's own methods.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, Self
from urllib.parse import parse_qsl, unquote

import httpx

from taskcounts.arguments import check_job_id
from taskcounts.flow.drive import run, run_async
from taskcounts.flow.exchange import exchange
from taskcounts.flow.steps import Flow, Settings
from taskcounts.protocol.counts import TASK_COUNTS_OPERATION
from taskcounts.protocol.lists import job_get_operation, job_list_operation, task_list_operation
from taskcounts.protocol.messages import Call, CheckedAnswer, Operation, RequestParts
from taskcounts.protocol.schema import Violation
from taskcounts.snapshot import FrozenMapping
from taskcounts.text import one_line
from taskcounts_rest.client import Client
from taskcounts_rest.contract import API_VERSION, OPERATIONS, VERSIONS

__all__ = ["RestClient"]

_PATHS = {
    name: re.compile(re.escape(operation.path).replace(r"\{jobId\}", "([^/]*)"))
    for name, operation in OPERATIONS.items()
}
# Headers that httpx adds, and those that belong to an attempt: the flow sends its own in their place.
_REPLACED = {"host", "accept", "accept-encoding", "connection", "user-agent"} | {
    "client-request-id",
    "return-client-request-id",
    "ocp-date",
}
# The body is serialised again, and httpx would return a proxy's cookie with the next request.
_DROPPED = {"content-length", "transfer-encoding", "set-cookie"}


class RestClient(Client):
    """The generated client, for the functions of ``taskcounts_rest.api``, sending over a client of ours.

    >>> from taskcounts_rest.api.jobs import job_get
    >>> job_get.sync("nightly-render", client=client.rest).state

    The functions return the model of a checked 200. For any other answer they raise an error of
    `taskcounts.errors`; for a wrong argument, a ValueError or TypeError before anything is sent. Retries,
    time limits and concurrency are the client's. A ``client_request_id`` is used; ``ocp_date`` and
    ``return_client_request_id`` are replaced, since each attempt has its own date and asks for the client
    request id in the answer.

    The generated models have no attribute like `Snapshot.inconsistencies`. A strict client raises
    ContractViolation for an answer whose numbers contradict each other, which lacks the client request id or
    the service's, or which comes from a cache; otherwise its model is returned unchanged.

    Requests name the client's api-version. The functions have an ``api_version`` of their own, whose default
    can't be told from a version that the caller names: that default is replaced, and any other version than
    the client's is refused. To send another version, give it to the client.

    A list is a single page with the link to the next one. To read all pages, use the client's ``list_jobs``
    and ``get_exact_job_task_counts``.

    The client closes it; leaving ``with client.rest:`` closes nothing.
    """

    def __init__(
        self,
        settings: Settings,
        make_call: Callable[..., Call],
        engine: Any,
        clock: Any,
        *,
        api_version: str,
        awaits: bool,
    ) -> None:
        """Make a client that sends over an engine.

        Args:
            settings: The settings of the client that it belongs to.
            make_call: Returns a call with checked limits; raises RuntimeError if the client is closed.
            engine: The engine of that client.
            clock: The clock of that client.
            api_version: The api-version of that client.
            awaits: Whether that client is asynchronous.
        """
        super().__init__(base_url=settings.endpoint)
        self._api_version = api_version
        transport: Any = _Transport(settings, make_call, engine, clock, api_version)
        # The environment may name a proxy, or have a password in .netrc.
        if awaits:
            self._async_client = _AsyncHttp(base_url=self._base_url, transport=transport, trust_env=False)
        else:
            self._client = _Http(base_url=self._base_url, transport=transport, trust_env=False)

    def get_httpx_client(self) -> httpx.Client:
        """Return the client for ``sync`` and ``sync_detailed``; raise TypeError if there is none."""
        if self._client is None:
            raise TypeError(
                "sync and sync_detailed take a TaskCountsClient.rest, not an AsyncTaskCountsClient.rest"
            )
        return self._client

    def get_async_httpx_client(self) -> httpx.AsyncClient:
        """Return the client for ``asyncio`` and ``asyncio_detailed``; raise TypeError if there is none."""
        if self._async_client is None:
            raise TypeError(
                "asyncio and asyncio_detailed take an AsyncTaskCountsClient.rest, not a TaskCountsClient.rest"
            )
        return self._async_client

    def _refuse(self, *given: object, **named: object) -> NoReturn:
        """Raise TypeError: headers, time limits and the transport are the client's."""
        # Headers and cookies may hold secrets.
        del given, named
        raise TypeError(
            "client.rest can't be changed: the client makes the headers of each attempt, "
            "and timeout, deadline and transport are given to the client"
        )

    with_headers = with_cookies = with_timeout = set_httpx_client = set_async_httpx_client = _refuse

    def __enter__(self) -> Self:
        self.get_httpx_client()
        return self

    async def __aenter__(self) -> Self:
        self.get_async_httpx_client()
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing: the client closes what there is to close."""

    async def __aexit__(self, *_: object) -> None:
        """Close nothing: the client closes what there is to close."""

    def __repr__(self) -> str:
        return f"RestClient({self._base_url!r}, api_version={self._api_version!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "RestClient belongs to a client and can't be pickled; create a client in each process"
        )


class _Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that sends the requests of the generated functions through the flow."""

    def __init__(
        self, settings: Settings, make_call: Callable[..., Call], engine: Any, clock: Any, api_version: str
    ) -> None:
        self._api_version = api_version
        self._settings = settings
        self._make_call = make_call
        self._engine = engine
        self._clock = clock
        self._operations: dict[str, Operation[Any]] = {
            each.parts.operation_id: each
            for each in (
                TASK_COUNTS_OPERATION,
                task_list_operation(settings.endpoint),
                job_get_operation(),
                job_list_operation(settings.endpoint),
            )
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return run(self._plan(request), self._engine, self._clock)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await run_async(self._plan(request), self._engine, self._clock)

    def _plan(self, request: httpx.Request) -> Flow[httpx.Response]:
        """Return the flow for a request; raise ValueError or TypeError if it can't be sent."""
        if request.url.join("/") != httpx.URL(self._settings.endpoint).join("/"):
            raise ValueError(f"client.rest sends to {self._settings.endpoint} and nowhere else")
        if others := sorted(set(request.headers) - _REPLACED):
            raise ValueError(f"client.rest sends no header {one_line(', '.join(others), 100)}")
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        name, job_id = _operation(request.method, path)
        options, service_timeout = _options(self._api_version, name, query)
        call = self._make_call(job_id, service_timeout, None, None, request.headers.get("client-request-id"))
        operation = self._operations[name]
        operation = operation._replace(
            parts=RequestParts(name, options), build=partial(_response, operation.build)
        )
        return exchange(self._settings, operation, call)


def _operation(method: str, path: str) -> tuple[str, str]:
    """Return the name of a request's operation, and the job that it is about, or "" without one."""
    for name, pattern in _PATHS.items():
        if method == OPERATIONS[name].method and (found := pattern.fullmatch(path)):
            return name, check_job_id(unquote(found[1])) if found.groups() else ""
    # The message doesn't show the URL: it may hold a password.
    paths = ", ".join(operation.path for operation in OPERATIONS.values())
    raise ValueError(f"client.rest has no such operation; it sends GET to {paths}")


def _options(api_version: str, operation: str, query: str) -> tuple[tuple[tuple[str, str | int], ...], Any]:
    """Return the options in a query, and the service timeout, None without one."""
    # The generated functions have the spelling of one version, and versions differ in the case of names.
    schemas = {name.lower(): schema for name, schema in VERSIONS[api_version][operation].parameters.items()}
    options: dict[str, Any] = {}
    for given, text in parse_qsl(query, keep_blank_values=True):
        name = given.lower()
        schema = schemas.get(name, {})
        if schema.get("in") != "query":
            raise TypeError(f"{operation} has no parameter {one_line(given, 60)}")
        if name in options:
            raise ValueError(f"{name} is given twice")
        options[name] = _value(name, text, schema)
    # The template adds it to every request.
    options.pop("api-version", None)
    service_timeout = options.pop("timeout", None)
    return tuple(options.items()), service_timeout


def _value(name: str, text: str, schema: dict[str, Any]) -> str | int:
    """Return the value of a parameter; raise ValueError or TypeError if it is out of its range."""
    shown = one_line(ascii(text), 60)
    if not text.strip():
        raise ValueError(f"{name} is empty; leave it out")
    if "const" in schema and text not in (schema["const"], API_VERSION):
        raise ValueError(
            f"{name} is {shown}; this client speaks {schema['const']}: give api_version= to the client"
        )
    if schema["type"] != "integer":
        return text
    if not re.fullmatch("-?[0-9]{1,20}", text):
        raise TypeError(f"{name} must be an int, not {shown}")
    # The service timeout has no maximum in the fragment; it is checked elsewhere.
    if "maximum" in schema and not schema["minimum"] <= int(text) <= schema["maximum"]:
        raise ValueError(f"{name} is {text}; give {schema['minimum']} to {schema['maximum']}")
    return int(text)


def _response(build: Callable[[CheckedAnswer], Any], answer: CheckedAnswer) -> httpx.Response:
    """Return a checked answer as a response for the generated functions."""
    build(answer)
    try:
        FrozenMapping(answer.body)
    except ValueError as error:
        raise Violation("$", str(error)) from None
    # Not the original bytes, whose JSON escapes may conceal a secret.
    body = json.dumps(answer.body).encode()
    headers = [
        (name.encode(), text.encode()) for name, text in answer.headers.items() if name not in _DROPPED
    ]
    return httpx.Response(200, headers=headers, content=body)


class _Checked:
    """A mixin that refuses unknown paths before httpx normalises them: dots could make another path."""

    def build_request(self, method: str, url: httpx.URL | str, **options: Any) -> httpx.Request:
        _operation(method.upper(), str(url).partition("?")[0])
        try:
            return super().build_request(method, url, **options)  # type: ignore[misc, no-any-return]
        except httpx.InvalidURL as error:
            raise ValueError(f"the URL is not valid: {one_line(str(error))}") from None


class _Http(_Checked, httpx.Client):
    pass


class _AsyncHttp(_Checked, httpx.AsyncClient):
    pass
