"""The api-versions of the service, and the differences between them that the emulator has.

Sources: the descriptions of the versions, of which the last two are in TypeSpec,
https://github.com/Azure/azure-rest-api-specs/tree/main/specification/batch/data-plane, and
https://learn.microsoft.com/rest/api/batchservice/batch-service-rest-api-versioning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from taskcounts_rest import contract

__all__ = ["GUID", "VERSIONS", "ApiVersion"]

# The reference of the operation demands a GUID "with no decoration such as curly braces".
GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

_COUNTS = contract.VERSIONS["2025-06-01"]["Job_GetTaskCounts"]
_TEXT = re.compile(_COUNTS.parameters["client-request-id"]["pattern"])


class ApiVersion(NamedTuple):
    """The traits of an api-version.

    Attributes:
        validation_status: Whether counts say if they have been validated.
        task_slots: Whether tasks have ``requiredSlots``, which counts add up beside the tasks. Before that,
            the numbers of tasks were the body of counts itself.
        dated_lists: Whether counts and lists have an ETag and a Last-Modified, as jobs and tasks always have.
        client_request_id: The form of a client request id.
    """

    validation_status: bool = False
    task_slots: bool = False
    dated_lists: bool = False
    client_request_id: re.Pattern[str] = GUID


_FLAT = ApiVersion()
_VALIDATED = _FLAT._replace(validation_status=True)
_NESTED = _FLAT._replace(task_slots=True)
_DATED = _NESTED._replace(dated_lists=True, client_request_id=_TEXT)

VERSIONS: Mapping[str, ApiVersion] = {
    "2017-06-01.5.1": _VALIDATED,
    "2017-09-01.6.0": _VALIDATED,
    "2018-03-01.6.1": _VALIDATED,
    "2018-08-01.7.0": _FLAT,
    "2018-12-01.8.0": _FLAT,
    "2019-06-01.9.0": _FLAT,
    "2019-08-01.10.0": _FLAT,
    "2020-03-01.11.0": _FLAT,
    "2020-09-01.12.0": _NESTED,
    "2021-06-01.14.0": _NESTED,
    "2022-01-01.15.0": _NESTED,
    "2022-10-01.16.0": _NESTED,
    "2023-05-01.17.0": _NESTED,
    "2023-11-01.18.0": _NESTED,
    "2024-02-01.19.0": _NESTED,
    "2024-07-01.20.0": _NESTED,
    "2025-06-01": _DATED,
    # Described, but not released.
    "2026-10-01": _DATED,
}
