"""Servers that are wrong on purpose, each in one way: the emulator behind something that changes it.

A contract run has to catch every one of them, by a check that names what is wrong.

::

    server.py    how a mutant serves, over an emulator
    answers.py   wrong statuses, headers, media types and bodies of any answer
    counts.py    wrong counts
    lists.py     wrong items, pages, filters and selections
    requests.py  wrong requests that are taken, and right ones that are refused
"""

from __future__ import annotations

from contract.mutants import answers, counts, lists, requests
from contract.mutants.server import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *answers.mutants(),
    *counts.mutants(),
    *lists.mutants(),
    *requests.mutants(),
)
