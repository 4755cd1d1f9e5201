"""Checks of the callers' arguments: a ValueError or TypeError before anything is sent, without secrets."""

from __future__ import annotations

import inspect
import math
import os
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from taskcounts.credentials import BearerToken, SharedKey, token_method
from taskcounts.net.route import RouteOptions
from taskcounts.text import one_line
from taskcounts.urls import PORTS, bracketed, is_loopback, split_url
from taskcounts_rest import contract

if TYPE_CHECKING:
    import uuid

JOB_ID = re.compile(contract.PARAMETERS["jobId"]["pattern"])
# uuid.UUID also accepts braces, URNs and missing hyphens; the service doesn't.
GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def check_endpoint(endpoint: str) -> str:
    """Return an endpoint's URL in canonical form; no message shows the argument: it may hold a password."""
    if not isinstance(endpoint, str):
        raise TypeError(f"endpoint must be a str, not {type(endpoint).__name__}")
    text = endpoint.strip()
    wrong = (
        "the endpoint is not the URL of a Batch account, such as https://myaccount.westeurope.batch.azure.com"
    )
    try:
        url, host, port = split_url(text if "://" in text else f"https://{text}")
    except ValueError:
        raise ValueError(
            f"{wrong}: its host is neither a name nor an address, or its port not from 1 to 65535"
        ) from None
    if url.username is not None or url.scheme not in ("http", "https"):
        raise ValueError(wrong)
    if url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("the endpoint must end with the host: no path, query or fragment")
    return f"{url.scheme}://{bracketed(host)}" + (f":{port}" if port not in (None, PORTS[url.scheme]) else "")


def check_api_version(api_version: str) -> str:
    """Return an api-version that the contract describes; raise ValueError or TypeError for any other."""
    if not isinstance(api_version, str):
        raise TypeError(f"api_version must be a str, not {type(api_version).__name__}")
    if api_version not in contract.VERSIONS:
        raise ValueError(
            f"api_version {one_line(ascii(api_version), 60)} is not known; "
            f"this client speaks {', '.join(contract.VERSIONS)}"
        )
    return api_version


def check_credential(credential: object, *, awaits: bool) -> None:
    """Raise TypeError unless a credential fits a client; ``awaits`` marks an asynchronous one."""
    if isinstance(credential, SharedKey | BearerToken):
        return
    method = token_method(credential)
    kind = type(credential).__name__
    if method is None:
        raise TypeError(
            "credential must be a SharedKey, a BearerToken or a credential object of azure-identity, "
            f"not {kind}"
        )
    if inspect.iscoroutinefunction(getattr(credential, method)) and not awaits:
        raise TypeError(
            f"{kind} is an asynchronous credential; use it with AsyncTaskCountsClient, "
            "or take its namesake from azure.identity"
        )


def check_token_channel(endpoint: str, allow_token_over_http: bool, options: RouteOptions) -> None:
    """Raise ValueError if plain http would carry a bearer token, which anybody could read and use."""
    url = urlsplit(endpoint)
    if url.scheme == "https":
        return
    if not is_loopback(url.hostname or ""):
        raise ValueError("a bearer token is not sent over plain http, where anybody could read it; use https")
    if not allow_token_over_http:
        raise ValueError(
            "a bearer token is not sent over plain http; for an emulator on this machine "
            "pass allow_token_over_http=True"
        )
    if options.proxy is not None:
        raise ValueError("a bearer token is not sent over plain http through a proxy, which could read it")


def check_job_id(job_id: str) -> str:
    """Return a job id; raise ValueError or TypeError if the service would refuse it."""
    if not isinstance(job_id, str):
        raise TypeError(f"job_id must be a str, not {type(job_id).__name__}")
    # Dots, slashes (encoded or not) and control characters could change the path.
    if not JOB_ID.fullmatch(job_id):
        raise ValueError(
            f"{one_line(ascii(job_id), 100)} is not a job id: 1 to 64 letters, digits, '-' and '_', "
            "followed by ':job-1' or the like for a job of a schedule"
        )
    return job_id


def check_service_timeout(seconds: int) -> int:
    """Return a service timeout in seconds, 1 to 30; raise ValueError or TypeError for any other."""
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise TypeError(f"service_timeout must be an int, not {type(seconds).__name__}")
    if seconds > 30:
        raise ValueError(f"service_timeout is {seconds}; the service would use 30 instead: give 1 to 30")
    if seconds < 1:
        raise ValueError(f"service_timeout is {seconds}; the service would refuse it: give 1 to 30")
    return seconds


def check_seconds(name: str, seconds: float) -> float:
    """Return a positive number of seconds; raise ValueError or TypeError, which name the argument."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__}")
    try:
        limit = float(seconds)
    except OverflowError:
        limit = math.inf
    if math.isnan(limit) or limit <= 0:
        raise ValueError(f"{name} is {seconds}; give seconds above 0, or math.inf for no limit")
    return limit


def check_callback(name: str, callback: object) -> None:
    """Raise TypeError unless an argument is a plain function or None."""
    if callback is not None and not callable(callback):
        raise TypeError(f"{name} must be a function, not {type(callback).__name__}")
    if inspect.iscoroutinefunction(callback):
        raise TypeError(f"{name} must be a plain function; nobody would await what an asynchronous one does")


def check_guid(guid: str | uuid.UUID) -> str:
    """Return a GUID in lower case; raise ValueError or TypeError if it isn't a plain one."""
    if isinstance(guid, str):
        if GUID.fullmatch(guid):
            return guid.lower()
        raise ValueError(
            f"client_request_id {one_line(ascii(guid), 60)} is not a plain GUID, "
            "such as 9c4d50ee-2d56-4cd3-8152-34347dc9f2b0"
        )
    import uuid  # noqa: PLC0415 - a caller who has a UUID has loaded it.

    if not isinstance(guid, uuid.UUID):
        raise TypeError(f"client_request_id must be a str or a UUID, not {type(guid).__name__}")
    return str(guid)


def new_guid() -> str:
    """Return a new random GUID, version 4, in half the time that the module uuid takes."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
