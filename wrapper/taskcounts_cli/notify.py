"""Notifications: passes verdicts on to commands and URLs. A failure is reported, and changes nothing else.

A command gets the verdict as JSON on standard input, and as TASKCOUNTS_JOB, TASKCOUNTS_OUTCOME and
TASKCOUNTS_TEXT in its environment, which holds no access key. No shell runs it, so that nothing in a verdict
can be taken for a command; its output goes to stderr. A URL gets the JSON by POST. It may hold a secret, as
the URLs of webhooks do, so that messages show only its scheme and host.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

import click

from taskcounts.text import one_line
from taskcounts.waiting.values import Verdict
from taskcounts_cli.messages import print_stderr, print_warning
from taskcounts_cli.output.events import event_json
from taskcounts_cli.viewer import Viewer

if TYPE_CHECKING:
    import httpx

# Seconds for one command, and for each step of one request.
COMMAND_TIMEOUT = 60.0
REQUEST_TIMEOUT = 10.0

# Seconds for all notifications together once the session has ended, and after an interruption.
FINISH_TIMEOUT = COMMAND_TIMEOUT + 5
INTERRUPTED_TIMEOUT = 1.0

# Commands and requests that run at the same time.
MAX_CONCURRENT = 8

# Bytes of a command's output that are shown.
MAX_OUTPUT_BYTES = 65_536

# Variables that hold credentials, which commands don't get.
SECRET_VARIABLES = (
    "AZURE_BATCH_ACCESS_KEY",
    "AZURE_BATCH_TOKEN",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Target(Protocol):
    """A recipient of verdicts."""

    def send(self, verdict: Verdict) -> str | None:
        """Send a verdict; return an error message in one line, or None."""
        ...

    def stop(self) -> None:
        """End whatever is still running, as far as possible."""
        ...


def parse_target(text: str) -> Target:
    """Return the recipient that a text names. Nothing is started or sent.

    Raises:
        ValueError: The text is neither an http or https URL nor a command that exists.
    """
    scheme = _SCHEME.match(text.strip())
    if scheme is not None:
        if scheme[1].lower() not in ("http", "https"):
            raise ValueError("a URL must begin with http:// or https://")
        import httpx  # noqa: PLC0415 - takes longer to load than everything else.

        try:
            url = httpx.URL(text.strip())
        except (httpx.InvalidURL, ValueError):
            url = httpx.URL("")
        if not url.host:
            # The text isn't shown: it may hold a secret.
            raise ValueError("the URL is invalid or names no host")
        return UrlTarget(url)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the command can't be split into words: {str(error).lower()}") from None
    if not words:
        raise ValueError("the command is empty")
    if shutil.which(words[0]) is None:
        if "/" in words[0] or ":" in words[0]:
            # The text isn't shown: it may be a misspelt URL with a secret.
            raise ValueError("the command can't be found; a URL begins with http:// or https://")
        raise ValueError(f"there is no command {one_line(ascii(words[0]), 100)}")
    return CommandTarget(tuple(words))


class CommandTarget:
    """A command that is run for each verdict."""

    def __init__(self, words: tuple[str, ...], timeout: float = COMMAND_TIMEOUT) -> None:
        """Take the command and its timeout in seconds."""
        self._words = words
        self._name = one_line(os.path.basename(words[0]), 100)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def send(self, verdict: Verdict) -> str | None:
        """Run the command, and show its output."""
        # Files instead of pipes: a process that the command leaves behind can't keep us waiting.
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(event_json(verdict).encode() + b"\n")
            stdin.seek(0)
            problem = self._run(stdin, stdout, verdict)
            stdout.seek(0)
            output = stdout.read(MAX_OUTPUT_BYTES + 1)
        for line in output[:MAX_OUTPUT_BYTES].decode("utf-8", "replace").splitlines():
            print_stderr(one_line(line, 2000))
        if len(output) > MAX_OUTPUT_BYTES:
            print_stderr(f"(the rest of the output of {self._name} is not shown)")
        return problem

    def stop(self) -> None:
        """End all running commands and the processes that they started."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    def _run(self, stdin: IO[bytes], stdout: IO[bytes], verdict: Verdict) -> str | None:
        with self._lock:
            if self._stopped:
                return f"{self._name} was not run"
            try:
                process = subprocess.Popen(  # noqa: S603 - the user's own command.
                    self._words,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=subprocess.STDOUT,
                    env=environment(verdict),
                    # A process group of its own: Ctrl-C doesn't reach it, and the timeout ends all of it.
                    start_new_session=True,
                )
            except OSError as error:
                return f"{self._name} can't be run: {error.strerror or error}"
            self._running.add(process)
        try:
            code = process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            return f"{self._name} took longer than {self._timeout:g} s and was ended"
        finally:
            with self._lock:
                self._running.discard(process)
        if self._stopped:
            return f"{self._name} was ended"
        if code:
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            return f"{self._name} {how}"
        return None


class UrlTarget:
    """A URL to which each verdict is posted."""

    def __init__(self, url: httpx.URL, timeout: float = REQUEST_TIMEOUT) -> None:
        """Take the URL, and the timeout of each step of a request in seconds."""
        self._url = url
        self._name = f"{url.scheme}://{url.host}"
        self._timeout = timeout

    def send(self, verdict: Verdict) -> str | None:
        """Post the verdict."""
        import httpx  # noqa: PLC0415 - see `parse_target`.

        try:
            # Only the status of the answer is read: an endless body must not keep us waiting.
            with httpx.stream(
                "POST",
                self._url,
                content=event_json(verdict),
                headers={"content-type": "application/json"},
                timeout=self._timeout,
                follow_redirects=False,
            ) as answer:
                return None if answer.is_success else f"{self._name} answered {answer.status_code}"
        # ValueError and OSError: proxies or certificates of the environment are wrong. The texts of errors
        # are not shown, since they can hold the URL.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return f"{self._name} could not be reached: {type(error).__name__}"

    def stop(self) -> None:
        """Do nothing: the timeout ends the request."""


def environment(verdict: Verdict) -> dict[str, str]:
    """Return the environment of a command: ours without credentials, and the verdict."""
    inherited = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    return inherited | {
        "TASKCOUNTS_JOB": one_line(verdict.job_id, 200),
        "TASKCOUNTS_OUTCOME": str(verdict.outcome),
        "TASKCOUNTS_TEXT": one_line(verdict.text, 2000),
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    # OSError: it has ended by itself.
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


class Notifier(Viewer):
    """A viewer that sends each verdict in a thread of its own, so that neither waits nor views are delayed.

    It is used in a ``with`` statement around the session, or `finish` is called after the session.

    Attributes:
        interrupted: Whether the session was interrupted; set it to shorten the timeout at the end.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        """Take the recipients."""
        self.interrupted = False
        self._targets = tuple(targets)
        # Events, not threads: an interrupted Thread.join takes its thread for ended.
        self._ended: list[threading.Event] = []
        # A thousand jobs can end at once.
        self._permits = threading.BoundedSemaphore(MAX_CONCURRENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        hurry = self.interrupted or isinstance(error, KeyboardInterrupt)
        self.finish(INTERRUPTED_TIMEOUT if hurry else FINISH_TIMEOUT)

    def judge(self, verdict: Verdict) -> None:
        """Send a verdict to all recipients."""
        for target in self._targets:
            ended = threading.Event()
            self._ended.append(ended)
            # A daemon: a recipient that never answers must not keep the process alive.
            threading.Thread(target=self._send, args=(target, verdict, ended), daemon=True).start()

    def finish(self, timeout: float = FINISH_TIMEOUT) -> None:
        """Wait until all verdicts are sent, then stop the rest; Ctrl-C shortens only this.

        Args:
            timeout: The seconds that all recipients have together.
        """
        with contextlib.suppress(KeyboardInterrupt):
            self._join(timeout)
        for target in self._targets:
            target.stop()
        with contextlib.suppress(KeyboardInterrupt):
            self._join(1)
        if not all(ended.is_set() for ended in self._ended):
            print_warning("some notifications did not end in time")

    def _join(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        for ended in self._ended:
            ended.wait(max(0.0, end - time.monotonic()))

    def _send(self, target: Target, verdict: Verdict, ended: threading.Event) -> None:
        try:
            with self._permits:
                problem = _send(target, verdict)
            if problem is not None:
                print_warning(f"--notify: {problem} (job {verdict.job_id!r})")
        finally:
            ended.set()


def _send(target: Target, verdict: Verdict) -> str | None:
    """Send a verdict, and return an error message or None."""
    try:
        return target.send(verdict)
    except OSError as error:
        return f"the verdict can't be stored for the command: {error.strerror or error}"
    except (ValueError, RecursionError):
        return "what the service added to the counts can't be written as JSON"


def _parse_targets(
    _: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[Target, ...]:
    try:
        return tuple(parse_target(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


notify_option: Callable[[Any], Any] = click.option(
    "--notify",
    metavar="COMMAND|URL",
    multiple=True,
    callback=_parse_targets,
    help="At each verdict, run a command (no shell; the verdict is JSON on its standard input), or POST "
    "the JSON to an http or https URL. Can be repeated; a failure is only reported.",
)
