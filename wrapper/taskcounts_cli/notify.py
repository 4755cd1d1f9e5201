"""Passes verdicts on: to a command, or to a URL. What goes wrong there is told, and changes nothing else.

A command gets the verdict as JSON on standard input, and TASKCOUNTS_JOB, TASKCOUNTS_OUTCOME and
TASKCOUNTS_TEXT in its environment, which holds no access key. It isn't run by a shell, so that nothing in a
verdict can be taken for a command; what it writes goes to stderr. A URL gets the JSON by POST; it may hold a
secret, such as a webhook's, and so only its scheme and host are ever told.
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
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol, Self

import click

from taskcounts.text import one_line
from taskcounts.waiting.values import Verdict
from taskcounts_cli.messages import print_stderr, print_warning
from taskcounts_cli.output.events import event_json
from taskcounts_cli.viewer import Viewer

if TYPE_CHECKING:
    import httpx

# Seconds that a command may take, and an answer to a request.
COMMAND_TIMEOUT = 60.0
REQUEST_TIMEOUT = 10.0

# Seconds that all together have when nothing else is to be done, and after an interruption.
FINISH_TIMEOUT = COMMAND_TIMEOUT + 5
INTERRUPTED_TIMEOUT = 1.0

# Commands and requests that are under way at the same time.
MAX_CONCURRENT = 8

# Bytes of a command's output that are told.
MAX_OUTPUT_BYTES = 65_536

# Not for commands that we start: what signs requests, or would be taken for it.
SECRET_VARIABLES = (
    "AZURE_BATCH_ACCESS_KEY",
    "AZURE_BATCH_TOKEN",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Target(Protocol):
    """Where verdicts are passed on to."""

    def send(self, verdict: Verdict) -> str | None:
        """Pass a verdict on; return in one line what went wrong, None if nothing did."""
        ...

    def stop(self) -> None:
        """End what is under way, as far as it can be ended."""
        ...


def parse_target(text: str) -> Target:
    """Return where a text says that verdicts are passed on to. Nothing is started or sent.

    Raises:
        ValueError: It is neither a URL of http or https nor a command that can be found.
    """
    scheme = _SCHEME.match(text.strip())
    if scheme is not None:
        if scheme[1].lower() not in ("http", "https"):
            raise ValueError("a URL must begin with http:// or https://")
        import httpx  # noqa: PLC0415 - takes longer to load than all the rest.

        try:
            url = httpx.URL(text.strip())
        except (httpx.InvalidURL, ValueError):
            url = httpx.URL("")
        if not url.host:
            # What was given isn't shown: it may hold a secret.
            raise ValueError("the URL can't be used: it names no host, or is misspelt")
        return UrlTarget(url)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the command can't be taken apart: {str(error).lower()}") from None
    if not words:
        raise ValueError("the command is empty")
    if shutil.which(words[0]) is None:
        if "/" in words[0] or ":" in words[0]:
            # It may be a misspelt URL, with a secret.
            raise ValueError("the command can't be found; a URL begins with http:// or https://")
        raise ValueError(f"there is no command {one_line(ascii(words[0]), 100)}")
    return CommandTarget(tuple(words))


class CommandTarget:
    """Runs a command for each verdict."""

    def __init__(self, words: tuple[str, ...], limit: float = COMMAND_TIMEOUT) -> None:
        """Take the command and how many seconds it may take."""
        self._words = words
        self._limit = limit
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def send(self, verdict: Verdict) -> str | None:
        """Run the command, and show what it writes."""
        # Files, not pipes: whatever the command leaves running behind can't keep us waiting.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as written:
            given.write(event_json(verdict).encode() + b"\n")
            given.seek(0)
            problem = self._run(given, written, verdict)
            written.seek(0)
            output = written.read(MAX_OUTPUT_BYTES + 1)
        for line in output[:MAX_OUTPUT_BYTES].decode("utf-8", "replace").splitlines():
            print_stderr(one_line(line, 2000))
        if len(output) > MAX_OUTPUT_BYTES:
            print_stderr(f"(the rest of what {self._name} wrote is left out)")
        return problem

    def stop(self) -> None:
        """End all that runs, with whatever it started."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)

    @property
    def _name(self) -> str:
        return one_line(os.path.basename(self._words[0]), 100)

    def _run(self, given: IO[bytes], written: IO[bytes], verdict: Verdict) -> str | None:
        with self._lock:
            if self._stopped:
                return f"{self._name} was not run"
            try:
                process = subprocess.Popen(  # noqa: S603 - the command of whoever called us.
                    self._words,
                    stdin=given,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                    env=environment(verdict),
                    # Its own group: Ctrl-C is meant for us, and its time limit for all that it starts.
                    start_new_session=True,
                )
            except OSError as error:
                return f"{self._name} can't be run: {error.strerror or error}"
            self._running.add(process)
        try:
            code = process.wait(self._limit)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            return f"{self._name} took longer than {self._limit:g} s and was ended"
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
    """Posts each verdict to a URL."""

    def __init__(self, url: httpx.URL, limit: float = REQUEST_TIMEOUT) -> None:
        """Take the URL and how many seconds each step of a request may take."""
        self._url = url
        self._limit = limit

    def send(self, verdict: Verdict) -> str | None:
        """Post the verdict."""
        import httpx  # noqa: PLC0415 - see `parse_target`.

        try:
            # Of the answer only its status counts: a body without an end keeps nobody waiting.
            with httpx.stream(
                "POST",
                self._url,
                content=event_json(verdict),
                headers={"content-type": "application/json"},
                timeout=self._limit,
                follow_redirects=False,
            ) as answer:
                if answer.is_success:
                    return None
                return f"{self._name} answered {answer.status_code}"
        # Proxies and certificates of the environment can be wrong, too. Texts of errors can hold the URL.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return f"{self._name} could not be told: {type(error).__name__}"

    def stop(self) -> None:
        """Do nothing: a request ends by itself."""

    @property
    def _name(self) -> str:
        return f"{self._url.scheme}://{self._url.host}"


def environment(verdict: Verdict) -> dict[str, str]:
    """Return the environment of a command: ours without secrets, and the verdict."""
    mine = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    return mine | {
        "TASKCOUNTS_JOB": one_line(verdict.job_id, 200),
        "TASKCOUNTS_OUTCOME": str(verdict.outcome),
        "TASKCOUNTS_TEXT": one_line(verdict.text, 2000),
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    # It may have ended by itself; and systems without groups end the one process.
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


class Notifier(Viewer):
    """A viewer that passes verdicts on, each in a thread: neither waits nor the view stand still meanwhile.

    Whoever runs the session does so inside of ``with``, or calls `finish` after it.

    Attributes:
        interrupted: Whether the session was interrupted: then nobody is waited for.
    """

    def __init__(self, targets: Sequence[Target]) -> None:
        """Take where verdicts are passed on to."""
        self.interrupted = False
        self._targets = tuple(targets)
        # One for each thread: a join that is interrupted takes its thread for ended.
        self._ended: list[threading.Event] = []
        # A thousand jobs can end at once.
        self._places = threading.BoundedSemaphore(MAX_CONCURRENT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hurried = self.interrupted or isinstance(error, KeyboardInterrupt)
        self.finish(INTERRUPTED_TIMEOUT if hurried else FINISH_TIMEOUT)

    def judge(self, verdict: Verdict) -> None:
        """Pass a verdict on."""
        for target in self._targets:
            # A daemon: what never answers must not keep the process.
            ended = threading.Event()
            self._ended.append(ended)
            threading.Thread(target=self._tell, args=(target, verdict, ended), daemon=True).start()

    def finish(self, limit: float = FINISH_TIMEOUT) -> None:
        """Wait until everybody was told, or the time is over; after Ctrl-C only for what ends at once.

        Ctrl-C ends no more than this: what came of the session stays.

        Args:
            limit: The seconds that all of them have together.
        """
        with contextlib.suppress(KeyboardInterrupt):
            self._join(limit)
        for target in self._targets:
            target.stop()
        with contextlib.suppress(KeyboardInterrupt):
            self._join(1)
        if not all(ended.is_set() for ended in self._ended):
            print_warning("not everybody could be told in time")

    def _join(self, limit: float) -> None:
        end = time.monotonic() + limit
        for ended in self._ended:
            ended.wait(max(0.0, end - time.monotonic()))

    def _tell(self, target: Target, verdict: Verdict, ended: threading.Event) -> None:
        try:
            self._pass_on(target, verdict)
        finally:
            ended.set()

    def _pass_on(self, target: Target, verdict: Verdict) -> None:
        with self._places:
            try:
                problem = target.send(verdict)
            except OSError as error:
                problem = f"there is no room to pass it on: {error.strerror or error}"
            except (ValueError, RecursionError):
                problem = "what the service added to the counts can't be written as JSON"
        if problem is not None:
            print_warning(f"--notify: {problem} (job {verdict.job_id!r})")


def _targets(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Target, ...]:
    try:
        return tuple(parse_target(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


notify_option: Callable[[Any], Any] = click.option(
    "--notify",
    metavar="COMMAND|URL",
    multiple=True,
    callback=_targets,
    help="At each verdict, run a command (no shell; the verdict is JSON on its standard input), or POST "
    "the JSON to an http or https URL. May be given several times; what fails is told, no more.",
)
