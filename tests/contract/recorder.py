"""The requests of a run in a form that can be sent again, by curl or by the run itself.

Nothing in here holds a secret: of a credential only its kind is noted, and each request is signed afresh.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from contract.target import Answered, Target
from taskcounts import BearerToken, SharedKey

# A signature, or a token: they are longer than any word of an Authorization header that a probe makes up.
_SECRET = re.compile(r"[A-Za-z0-9+/=._~-]{20,}")
# Ids that a probe makes up anew each time.
_FRESH = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{8}")


@dataclass(frozen=True)
class Sent:
    """A request that a run sent.

    Attributes:
        method: The verb.
        target: Path and query.
        headers: The headers beside those of the authorization.
        how: What was done otherwise than in a right request: the kind of credential, the seconds by which
            the date was off, and what was signed in place of the target.
    """

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    how: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        how = "; ".join(f"{name}: {value}" for name, value in self.how.items())
        return f"{self.method} {self.target}" + (f" ({how})" if how else "")

    def curl(self, endpoint: str) -> str:
        """Return a command line for bash or zsh that sends the request.

        It takes what has to be signed afresh from the environment, as AUTHORIZATION and OCP_DATE.
        """
        verb = [] if self.method == "GET" else ["--head"] if self.method == "HEAD" else ["-X", self.method]
        words = ["curl", "-sSi", "--path-as-is", "--globoff", *map(_quote, verb)]
        for name, value in self.headers.items():
            # A header without a value is written with a semicolon.
            words += ["-H", _quote(f"{name}: {value}" if value.strip() else f"{name};")]
        if "ocp-date" not in self.headers and self.how.get("date") != "none":
            words += ["-H", '"ocp-date: $OCP_DATE"']
        if self.how.get("credential") != "none":
            words += ["-H", '"Authorization: $AUTHORIZATION"']
        return " ".join([*words, _quote(endpoint + self.target)])


def _quote(text: str) -> str:
    if text.isascii() and text.isprintable():
        return shlex.quote(text)
    # Headers go out as Latin-1; in this form of quotes each byte can be written.
    raw = text.encode("latin-1", "replace")
    return "$'" + "".join(chr(b) if 32 <= b < 127 and b not in b"\\'" else f"\\x{b:02x}" for b in raw) + "'"


@dataclass
class Recorder(Target):
    """A target that notes what it is asked, and asks again what was noted before.

    Attributes:
        script: The requests of an earlier run, in their order. An id that was made up anew is replaced by
            that of the script.
        sent: The requests up to now.
        answers: Their answers, and how many of them have been judged.
    """

    script: list[Sent] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    judged: int = 0

    @classmethod
    def over(cls, target: Target) -> Recorder:
        """Return a recorder of what a target is asked."""
        return cls(**{part.name: getattr(target, part.name) for part in fields(target)})

    def begin(self, script: Iterable[Sent] = ()) -> None:
        """Forget what was asked, and take up a script."""
        self.script, self.sent, self.answers, self.judged = list(script), [], [], 0

    def ask(
        self, target: str | None = None, headers: Mapping[str, str] | None = None, **how: Any
    ) -> Answered:
        """Send a request as `Target.ask` does, and note it."""
        target, headers = target or self.locate(), dict(headers or {})
        if len(self.sent) < len(self.script):
            noted = self.script[len(self.sent)]
            target = _again(target, noted.target)
            headers = {name: _again(value, noted.headers.get(name)) for name, value in headers.items()}
        self.sent.append(_describe(target, headers, **how))
        answered = super().ask(target, headers, **how)
        self.answers.append(answered)
        return answered

    def number(self, answered: Answered) -> int:
        """Return which answer it is, counted from 0."""
        return next(number for number, one in enumerate(self.answers) if one is answered)

    def unjudged(self) -> Iterator[tuple[int, Answered]]:
        """Yield the answers that came since the last time, each with its number."""
        while self.judged < len(self.answers):
            self.judged += 1
            yield self.judged - 1, self.answers[self.judged - 1]


def _describe(
    target: str,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
    credential: SharedKey | BearerToken | None = None,
    authorization: str | None = None,
    sign_as: str | None = None,
    date: datetime | None = None,
    dated: bool = True,
) -> Sent:
    """Describe a request that is sent by the arguments of `Target.ask`."""
    now = datetime.now(UTC)
    kinds = {SharedKey: "another key", BearerToken: "a made-up token", type(None): None}
    how = {
        "credential": kinds[type(credential)]
        if authorization is None
        else _SECRET.sub("…", authorization) or "none",
        "date": None if date is None else f"{(date - now).total_seconds():+.0f} s",
        "signed": sign_as,
    } | ({} if dated else {"date": "none"})
    if headers.get("ocp-date", "")[:1].isdigit() and _is_now(headers["ocp-date"], now):
        how["date"] = "in the form of ISO 8601"
    # A date of now is made anew when the request is sent again.
    kept = {name: value for name, value in headers.items() if name != "ocp-date" or not _is_now(value, now)}
    return Sent(method, target, kept, {name: value for name, value in how.items() if value is not None})


def _is_now(date: str, now: datetime) -> bool:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        with suppress(ValueError, TypeError, OverflowError):
            return abs((read(date) - now).total_seconds()) < 60
    return False


def _again(text: str, noted: str | None) -> str:
    """Return what was noted, if it differs in no more than made-up ids; else the text itself."""
    return noted if noted is not None and _FRESH.sub("", noted) == _FRESH.sub("", text) else text
