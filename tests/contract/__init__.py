"""Checks an endpoint against the fragment, and its counts and lists against each other.

`make contract` runs it.

::

    target.py     where requests go: a socket, or an application in this process
    checks.py     what every answer has to satisfy; items.py: every answer with tasks or jobs
    reference.py  what the endpoint said at the start of a run, and every answer held against it;
                  filters.py: which tasks and jobs fit a filter; paging.py: lists, page by page
    probes.py     requests made on purpose, each with what must come of it;
                  listing.py: those of lists, authentication.py: those of credentials
    generated.py  requests that schemathesis makes from the fragment, right and wrong ones
    run.py        all of it over one target, and the report
    mutants.py    servers that are wrong on purpose, each in one way, list_mutants.py those whose
                  lists are; the modules with `spoil` in their names have the ways
"""
