"""pycurl by hand: a handle for each thread or task, and nothing above it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pycurl

from benchmarks.clients.measure import Setting, in_tasks, in_threads, setting
from benchmarks.clients.signing import Signer


class Handles:
    """Handles that are free, and how one is made ready for a request."""

    def __init__(self, given: Setting) -> None:
        self._given = given
        self._signer = Signer(given.account, given.key, given.url)
        self.free: list[pycurl.Curl] = []

    def take(self) -> tuple[pycurl.Curl, bytearray]:
        """Return a handle with its headers, and where its answer will be."""
        try:
            handle = self.free.pop()
        except IndexError:
            handle = pycurl.Curl()
            handle.setopt(pycurl.URL, self._given.url)
            handle.setopt(pycurl.NOSIGNAL, 1)
            if self._given.authority is not None:
                handle.setopt(pycurl.CAINFO, self._given.authority)
        body = bytearray()
        lines = [f"{name}: {value}" for name, value in self._signer.headers().items()]
        handle.setopt(pycurl.HTTPHEADER, lines)
        handle.setopt(pycurl.WRITEFUNCTION, body.extend)
        return handle, body

    def give_back(self, handle: pycurl.Curl, body: bytearray) -> object:
        """Return what the answer says."""
        status = handle.getinfo(pycurl.RESPONSE_CODE)
        self.free.append(handle)
        if status != 200:
            raise RuntimeError(status)
        return json.loads(body)


async def opened(given: Setting) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Give a call."""
    handles, multi = Handles(given), pycurl.AsyncCurlMulti()

    async def call() -> object:
        handle, body = handles.take()
        await multi.add_handle(handle)
        return handles.give_back(handle, body)

    yield call
    await multi.aclose()


def main(given: Setting) -> None:
    """Measure what is wanted."""
    if given.how == "async":
        in_tasks(given, opened)
        return
    handles = Handles(given)

    def call() -> object:
        handle, body = handles.take()
        handle.perform()
        return handles.give_back(handle, body)

    in_threads(given, call)


if __name__ == "__main__":
    main(setting())
