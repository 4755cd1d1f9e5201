"""`make pictures`: draw the pictures of the README anew."""

from __future__ import annotations

from pathlib import Path

from pictures.draw import pictures
from pictures.jobs import night

FOLDER = Path(__file__).parents[2] / ".github"

for name, content in pictures(night()).items():
    (FOLDER / name).write_text(content, encoding="utf-8")
    print(f"{FOLDER.name}/{name}: {len(content.encode()):,} bytes")
