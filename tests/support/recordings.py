"""A recording of a few events."""

from __future__ import annotations

from pathlib import Path

from support.observations import judged, seen
from taskcounts.waiting.values import Observation, Verdict
from taskcounts_cli.recording.recorder import Recorder

FIRST, SECOND, LAST = seen("j", number=1), seen("j", at=5), judged("j", at=6)


def record(path: Path, *events: Observation | Verdict, append: bool = False) -> None:
    """Record some events of the job ``j``."""
    recorder = Recorder(path, append=append)
    recorder.begin(["j"])
    for event in events:
        if isinstance(event, Verdict):
            recorder.judge(event)
        else:
            recorder.observe(event)
        recorder.tick()
    recorder.end()
