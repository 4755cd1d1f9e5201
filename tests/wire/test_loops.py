"""Event loops: an asynchronous client belongs to one of asyncio's."""

import asyncio
from collections.abc import Callable

import pytest

from support.client import KEY
from support.servers import Server
from taskcounts import AsyncTaskCountsClient
from wire.sessions import TRANSPORTS, Session, answering, descriptors, eventually

pytestmark = pytest.mark.usefixtures("collected")
Serve = Callable[..., Server]


# asyncio's transports warn of it themselves.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("ended", [False, True], ids=["a loop that goes on", "a loop that has ended"])
@pytest.mark.parametrize("method", ["get_job_task_counts", "close"])
def test_another_loop(method: str, ended: bool) -> None:
    """A client that is used or closed in another loop says so, and leaves no socket."""
    before = descriptors()
    server = Server(answering)
    client = AsyncTaskCountsClient(server.url, KEY, trust_env=False)
    first, second = asyncio.Runner(), asyncio.Runner()
    with second:

        async def use() -> None:
            await asyncio.gather(*(client.get_job_task_counts(f"job-{job}") for job in range(3)))

        first.run(use())
        if ended:
            first.close()

        async def misuse() -> object:
            given = ["job-1"] if method == "get_job_task_counts" else []
            return await getattr(client, method)(*given)

        with pytest.raises(RuntimeError, match="event loop"):
            second.run(misuse())
        if not ended:
            if method == "get_job_task_counts":
                assert first.run(client.get_job_task_counts("job-7")).task_counts.active == 7
            first.run(client.close())
            first.close()
        elif method == "get_job_task_counts":
            with pytest.raises(RuntimeError, match="event loop"):
                second.run(client.close())
    assert eventually(lambda: sum(each.fileno() >= 0 for each in server._open) == 0)
    server.close()
    assert eventually(lambda: descriptors() <= before), descriptors() - before


@pytest.mark.parametrize("transport", [transport for transport in TRANSPORTS if transport.awaits], ids=str)
def test_no_loop_of_asyncio(serve: Serve, transport: object) -> None:
    """Without a loop of asyncio, as under trio, the error says that one is needed."""
    server = serve(answering)
    session = Session(transport, server.url)  # type: ignore[arg-type]
    call = session.client.get_job_task_counts("job-1")
    with pytest.raises(RuntimeError, match="asyncio"):
        call.send(None)
    call.close()
    assert session.ask("job-1").task_counts.active == 1
    session.close()
