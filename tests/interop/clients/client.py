"""The base of the adapters, and the account that they call.

An adapter has one method for each call that the checks make, named as in azure-batch 15, such as
``get_job``; options and members have that client's names too. Its methods return the client's own
objects, and `Client.read` looks into them.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from enum import Enum
from typing import Any

from interop.clients.report import See

__all__ = ["NO_POOL", "PAUSE", "Account", "Client"]

# Seconds between two looks at a job that is about to change.
PAUSE = 0.05

# Tasks of a job wait where nobody knows its pool.
NO_POOL = "no-such-pool"


class Account:
    """The account to call, as the environment names it."""

    def __init__(self) -> None:
        self.endpoint = os.environ["AZURE_BATCH_ENDPOINT"]
        self.name = os.environ["AZURE_BATCH_ACCOUNT"]
        self.key = os.environ["AZURE_BATCH_ACCESS_KEY"]
        # An account of the same name and key over TLS, and the authority that signed its certificate.
        self.tls_endpoint = os.environ["INTEROP_TLS_ENDPOINT"]
        self.authority = os.environ["INTEROP_AUTHORITY"]


class Client:
    """One of Microsoft's clients, behind the interface that the checks use.

    Args:
        account: The account to call.
        key: Another key than the account's.
        tls: Whether to call the account over TLS.
        token: Whether to authenticate with a token.

    Attributes:
        error: The class of the client's errors.
        collection_error: The class of its error for a collection of tasks of which some were refused.
        renamed: The client's own names of members and options, where azure-batch 15 has others.
        limit: The longest time that job-1 may take, in the client's own type.
        slots: The slots of job-1's task ``single``.
        has_slots: Whether tasks have slots, which counts add up beside the tasks.
        settling: Seconds in which a job must reach the state that a call asked for;
            0 if the call itself waits for it.
        requests: The methods of the requests so far.
        shows_requests: Whether the client shows its requests.
        has_page_length: Whether the client can ask for pages of a given length.
        needs_reason: Whether the client fails to terminate a job without a reason.
    """

    error: type[Exception]
    collection_error: type[Exception]
    renamed: Mapping[str, str] = {}
    limit: object = datetime.timedelta(days=1, seconds=1.5)
    slots = 3
    has_slots = True
    settling = 20.0
    shows_requests = True
    has_page_length = True
    needs_reason = False

    def __init__(
        self, account: Account, *, key: str | None = None, tls: bool = False, token: bool = False
    ) -> None:
        self.account = account
        self.key = key or account.key
        self.tls = tls
        self.token = token
        self.requests: list[str] = []
        self.endpoint = account.tls_endpoint if tls else account.endpoint

    def another(self, **options: Any) -> Client:
        """Return a client of the same kind that authenticates or connects in another way."""
        return type(self)(self.account, **options)

    def close(self) -> None:
        """Close the client's connections."""

    def own(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options under the client's own names."""
        return {self.renamed.get(name, name): value for name, value in options.items()}

    def read(self, thing: Any, path: str) -> Any:
        """Return a member of an object, such as ``execution_info.result``; an enumeration as text."""
        for name in path.split("."):
            thing = getattr(thing, self.renamed.get(name, name))
        return thing.value if isinstance(thing, Enum) else thing

    def task_counts(self, counts: Any) -> Any:
        """Return the numbers of tasks in the answer of `get_job_task_counts`."""
        return self.read(counts, "task_counts")

    def members(self, thing: Any) -> dict[str, Any]:
        """Return the members that the service sent."""
        sent: dict[str, Any] = thing.as_dict()
        return sent

    def see_created_job(self, see: See, answer: Any) -> None:
        """See the answer of `create_job` for job-1."""
        see("answer", answer, None)

    def see_created_task(self, see: See, answer: Any) -> None:
        """See the answer of `create_task` for the task ``single``."""
        see("answer", answer, None)

    def see_token(self, see: See) -> None:
        """See that the client asked for its token rightly, if it asks for one."""
