"""Checks an endpoint against the fragment and the invariants of the counts; `make contract` runs it.

::

    target.py     where requests go: a socket, or an application in this process
    checks.py     what every answer has to satisfy
    probes.py     requests made on purpose, each with what must come of it
    generated.py  requests that schemathesis makes from the fragment, right and wrong ones
    run.py        all of it over one target, and the report
    mutants.py    servers that are wrong on purpose, each in one way; spoil.py has the ways
"""
