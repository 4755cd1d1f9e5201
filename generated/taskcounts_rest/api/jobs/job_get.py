from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID

import httpx

from ...client import AuthenticatedClient, Client
from ...models.batch_error import BatchError
from ...models.cloud_job import CloudJob
from ...types import UNSET, Response, Unset


def _get_kwargs(
    job_id: str,
    *,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    select: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(client_request_id, Unset):
        headers["client-request-id"] = str(client_request_id)

    if not isinstance(return_client_request_id, Unset):
        headers["return-client-request-id"] = "true" if return_client_request_id else "false"

    if not isinstance(ocp_date, Unset):
        headers["ocp-date"] = ocp_date

    params: dict[str, Any] = {}

    json_api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"]
    json_api_version = api_version
    params["api-version"] = json_api_version

    params["$select"] = select

    params["timeout"] = timeout

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/jobs/{job_id}".format(
            job_id=quote(str(job_id), safe=""),
        ),
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> BatchError | CloudJob:
    if response.status_code == 200:
        response_200 = CloudJob.from_dict(response.json())

        return response_200

    response_default = BatchError.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[BatchError | CloudJob]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    job_id: str,
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    select: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> Response[BatchError | CloudJob]:
    """Tell what state a job itself is in.

     Answers whether the job still takes and runs tasks, and when and why it ended. It says nothing of
    the tasks: a job may be active although all its tasks are completed, and completed although some of
    them never ran.

    Args:
        job_id (str):
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        select (str | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[BatchError | CloudJob]
    """

    kwargs = _get_kwargs(
        job_id=job_id,
        api_version=api_version,
        select=select,
        timeout=timeout,
        client_request_id=client_request_id,
        return_client_request_id=return_client_request_id,
        ocp_date=ocp_date,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    job_id: str,
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    select: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> BatchError | CloudJob | None:
    """Tell what state a job itself is in.

     Answers whether the job still takes and runs tasks, and when and why it ended. It says nothing of
    the tasks: a job may be active although all its tasks are completed, and completed although some of
    them never ran.

    Args:
        job_id (str):
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        select (str | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        BatchError | CloudJob
    """

    return sync_detailed(
        job_id=job_id,
        client=client,
        api_version=api_version,
        select=select,
        timeout=timeout,
        client_request_id=client_request_id,
        return_client_request_id=return_client_request_id,
        ocp_date=ocp_date,
    ).parsed


async def asyncio_detailed(
    job_id: str,
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    select: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> Response[BatchError | CloudJob]:
    """Tell what state a job itself is in.

     Answers whether the job still takes and runs tasks, and when and why it ended. It says nothing of
    the tasks: a job may be active although all its tasks are completed, and completed although some of
    them never ran.

    Args:
        job_id (str):
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        select (str | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[BatchError | CloudJob]
    """

    kwargs = _get_kwargs(
        job_id=job_id,
        api_version=api_version,
        select=select,
        timeout=timeout,
        client_request_id=client_request_id,
        return_client_request_id=return_client_request_id,
        ocp_date=ocp_date,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    job_id: str,
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    select: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> BatchError | CloudJob | None:
    """Tell what state a job itself is in.

     Answers whether the job still takes and runs tasks, and when and why it ended. It says nothing of
    the tasks: a job may be active although all its tasks are completed, and completed although some of
    them never ran.

    Args:
        job_id (str):
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        select (str | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        BatchError | CloudJob
    """

    return (
        await asyncio_detailed(
            job_id=job_id,
            client=client,
            api_version=api_version,
            select=select,
            timeout=timeout,
            client_request_id=client_request_id,
            return_client_request_id=return_client_request_id,
            ocp_date=ocp_date,
        )
    ).parsed
