"""Builds the responder, starts it, and asks it how it fares."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import certifi
import trustme

from benchmarks.rows import Block

__all__ = ["Responder", "build"]

SOURCE = Path(__file__).with_name("responder.c")


def build(folder: Path) -> tuple[Path, bool]:
    """Compile the responder, and return where it is and whether it can speak TLS.

    Raises:
        RuntimeError: It can't be compiled; the message has one line.
    """
    if sys.platform != "linux":
        raise RuntimeError("the benchmark runs on Linux alone: its server waits with epoll")
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise RuntimeError(
            f"there is no C compiler called {compiler!r}; install gcc or clang, or name one in CC"
        )
    program = folder / "responder"
    failure = ""
    for options in (["-DWITH_TLS", "-lssl", "-lcrypto"], []):
        compiled = subprocess.run(  # noqa: S603 - A compiler that the user chose.
            [compiler, "-O2", "-o", program, SOURCE, *options], capture_output=True, text=True, check=False
        )
        if compiled.returncode == 0:
            return program, bool(options)
        failure = next((line for line in compiled.stderr.splitlines() if "error" in line), "no word")
    raise RuntimeError(f"the responder can't be compiled: {failure}")


class Responder:
    """A server in a process of its own, until it is closed.

    Args:
        program: The compiled responder.
        folder: Where it may write.
        blocks: What it is asked for.
        tls: Whether it can.
        core: The only core that it may use; any if None.

    Attributes:
        authority: A PEM file of its authority alone.
        bundle: A PEM file of everyone whom people trust by default, and its authority.
        port: Where it tells how it fares.
    """

    def __init__(
        self,
        program: Path,
        folder: Path,
        blocks: Iterable[Block],
        *,
        tls: bool = False,
        core: int | None = None,
    ) -> None:
        shapes = {(False, True, 0)} | {(block.tls, block.chunked, block.latency) for block in blocks}
        listening = sorted(shape for shape in shapes if tls or not shape[0])
        self.authority, self.bundle = folder / "authority.pem", folder / "everyone.pem"
        words = [str(program)]
        if tls:
            authority = trustme.CA()
            certificate = authority.issue_cert("127.0.0.1")
            authority.cert_pem.write_to_path(self.authority)
            everyone = Path(certifi.where()).read_bytes() + authority.cert_pem.bytes()
            self.bundle.write_bytes(everyone)
            certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
            certificate.private_key_pem.write_to_path(folder / "key.pem")
            words += ["--tls", str(folder / "certificate.pem"), str(folder / "key.pem")]
        for encrypted, chunked, latency in listening:
            scheme, body = "https" if encrypted else "http", "chunked" if chunked else "length"
            words.append(f"{scheme},{body},{latency}")
        ours = os.sched_getaffinity(0)
        try:
            if core is not None:
                # What is started here has the same.
                os.sched_setaffinity(0, {core})
            self._process = subprocess.Popen(  # noqa: S603 - Compiled above.
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        finally:
            os.sched_setaffinity(0, ours)
        assert self._process.stdout is not None
        lines = [self._process.stdout.readline() for _ in listening]
        if not lines[-1]:
            raise RuntimeError(f"the responder doesn't start: exit code {self._process.wait()}")
        self._ports = dict(zip(listening, map(int, lines), strict=True))
        self.port = self._ports[False, True, 0]

    def endpoint(self, block: Block) -> str:
        """Return where it does what a block wants."""
        port = self._ports[block.tls, block.chunked, block.latency]
        return f"{'https' if block.tls else 'http'}://127.0.0.1:{port}"

    def status(self) -> dict[str, float]:
        """Return the seconds that it has worked, and how many requests and connections there were."""
        url = f"http://127.0.0.1:{self.port}/-/status"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
            told: dict[str, float] = json.load(answer)
        return told

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
