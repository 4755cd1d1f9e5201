from http import HTTPStatus
from typing import Any, Literal
from uuid import UUID

import httpx

from ...client import AuthenticatedClient, Client
from ...models.batch_error import BatchError
from ...models.cloud_job_list_result import CloudJobListResult
from ...types import UNSET, Response, Unset


def _get_kwargs(
    *,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    filter_: str | Unset = UNSET,
    select: str | Unset = UNSET,
    maxresults: int | Unset = UNSET,
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

    params["$filter"] = filter_

    params["$select"] = select

    params["maxresults"] = maxresults

    params["timeout"] = timeout

    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/jobs",
        "params": params,
    }

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> BatchError | CloudJobListResult:
    if response.status_code == 200:
        response_200 = CloudJobListResult.from_dict(response.json())

        return response_200

    response_default = BatchError.from_dict(response.json())

    return response_default


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[BatchError | CloudJobListResult]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    filter_: str | Unset = UNSET,
    select: str | Unset = UNSET,
    maxresults: int | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> Response[BatchError | CloudJobListResult]:
    """List the jobs of the account, page by page.

     Answers each job as Job_Get does.

    Args:
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        filter_ (str | Unset):
        select (str | Unset):
        maxresults (int | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[BatchError | CloudJobListResult]
    """

    kwargs = _get_kwargs(
        api_version=api_version,
        filter_=filter_,
        select=select,
        maxresults=maxresults,
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
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    filter_: str | Unset = UNSET,
    select: str | Unset = UNSET,
    maxresults: int | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> BatchError | CloudJobListResult | None:
    """List the jobs of the account, page by page.

     Answers each job as Job_Get does.

    Args:
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        filter_ (str | Unset):
        select (str | Unset):
        maxresults (int | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        BatchError | CloudJobListResult
    """

    return sync_detailed(
        client=client,
        api_version=api_version,
        filter_=filter_,
        select=select,
        maxresults=maxresults,
        timeout=timeout,
        client_request_id=client_request_id,
        return_client_request_id=return_client_request_id,
        ocp_date=ocp_date,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    filter_: str | Unset = UNSET,
    select: str | Unset = UNSET,
    maxresults: int | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> Response[BatchError | CloudJobListResult]:
    """List the jobs of the account, page by page.

     Answers each job as Job_Get does.

    Args:
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        filter_ (str | Unset):
        select (str | Unset):
        maxresults (int | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[BatchError | CloudJobListResult]
    """

    kwargs = _get_kwargs(
        api_version=api_version,
        filter_=filter_,
        select=select,
        maxresults=maxresults,
        timeout=timeout,
        client_request_id=client_request_id,
        return_client_request_id=return_client_request_id,
        ocp_date=ocp_date,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    api_version: Literal["2024-07-01.20.0"] | Literal["2025-06-01"] = "2024-07-01.20.0",
    filter_: str | Unset = UNSET,
    select: str | Unset = UNSET,
    maxresults: int | Unset = UNSET,
    timeout: int | Unset = UNSET,
    client_request_id: UUID | Unset = UNSET,
    return_client_request_id: bool | Unset = UNSET,
    ocp_date: str | Unset = UNSET,
) -> BatchError | CloudJobListResult | None:
    """List the jobs of the account, page by page.

     Answers each job as Job_Get does.

    Args:
        api_version (Literal['2024-07-01.20.0'] | Literal['2025-06-01']):  Default:
            '2024-07-01.20.0'.
        filter_ (str | Unset):
        select (str | Unset):
        maxresults (int | Unset):
        timeout (int | Unset):
        client_request_id (UUID | Unset):
        return_client_request_id (bool | Unset):
        ocp_date (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        BatchError | CloudJobListResult
    """

    return (
        await asyncio_detailed(
            client=client,
            api_version=api_version,
            filter_=filter_,
            select=select,
            maxresults=maxresults,
            timeout=timeout,
            client_request_id=client_request_id,
            return_client_request_id=return_client_request_id,
            ocp_date=ocp_date,
        )
    ).parsed
