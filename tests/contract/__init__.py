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
                  by public names but for those in schemathesis_internals.py
    keywords.py   which keywords of the fragment a run has tested, and requests that break each alone
    run.py        all of it over one target, in steps; report.py: what it found
    recorder.py   the requests of a step, without secrets; replay.py: those of findings, sent again
    mutants/      servers that are wrong on purpose, each in one way, and runs over them
"""
