"""A plain client of the emulated service: it signs requests and sends them unchanged."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from taskcounts.credentials import SharedKey
from taskcounts_emulator import Emulator

VERSION = "2024-02-01.19.0"
DATE = "Thu, 01 Aug 2024 12:34:56 GMT"
NO_LIMIT = "P10675199DT2H48M5.4775807S"
JSON_TYPE = "application/json; odata=minimalmetadata"


class Api:
    """A client of a running emulator over a socket, with its shared key."""

    def __init__(self, emulator: Emulator, date: str = DATE) -> None:
        self.emulator = emulator
        self._date = date
        # A context of its own: the usual one takes longer to make than a test does.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.Client(timeout=10, trust_env=False, verify=context)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        version: str | None = VERSION,
        **parameters: Any,
    ) -> httpx.Response:
        """Send a request; parameters that begin with an underscore become OData options."""
        named = {name.replace("_", "$", 1): str(value) for name, value in parameters.items()}
        if version is not None:
            named = {"api-version": version, **named}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in named.items())
        return self.send(method, f"{path}?{query}" if query else path, body, headers)

    def send(
        self, method: str, target: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request to a raw target; a body that is not bytes is written as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"ocp-date": self._date}
        if body is not None:
            sent["content-type"] = JSON_TYPE
        if content or method not in ("GET", "HEAD", "DELETE"):
            sent["content-length"] = str(len(content))
        sent |= headers or {}
        key = SharedKey(self.emulator.account, self.emulator.key)
        sent["authorization"] = key.authorization(method, target, sent)
        url = httpx.URL(self.emulator.endpoint).copy_with(raw_path=target.encode())
        request = httpx.Request(method, url, headers=sent, content=content or None)
        # httpx adds what was not signed.
        if "content-length" not in sent:
            request.headers.pop("content-length", None)
        return self._client.send(request)

    def add_job(self, job_id: str = "job", **members: object) -> None:
        """Add a job, or fail."""
        answer = self("POST", "/jobs", {"id": job_id, "poolInfo": {"poolId": "pool"}, **members})
        assert answer.status_code == 201, answer.text

    def add_task(self, task_id: str = "task", job_id: str = "job", **members: object) -> None:
        """Add a task, or fail."""
        answer = self("POST", f"/jobs/{job_id}/tasks", {"id": task_id, "commandLine": "true", **members})
        assert answer.status_code == 201, answer.text

    def job(self, job_id: str = "job") -> dict[str, Any]:
        """Return a job, or fail."""
        return told(self("GET", f"/jobs/{job_id}"))

    def task(self, task_id: str = "task", job_id: str = "job") -> dict[str, Any]:
        """Return a task, or fail."""
        return told(self("GET", f"/jobs/{job_id}/tasks/{task_id}"))

    def pages(self, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list, following the links unchanged."""
        page = told(self("GET", path, **parameters))
        yield page
        while link := page.get("odata.nextLink"):
            assert link.startswith(self.emulator.endpoint)
            parts = urlsplit(link)
            page = told(self.send("GET", f"{parts.path}?{parts.query}"))
            yield page

    def close(self) -> None:
        self._client.close()


def told(answer: httpx.Response) -> dict[str, Any]:
    """Return the decoded body of a 200."""
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, str]:
    """Assert that a response is a refusal, and return its details."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return {detail["key"]: detail["value"] for detail in answer.json().get("values", [])}
