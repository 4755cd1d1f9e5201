"""A thousand jobs, each with a history drawn from a seed, and a wait for each: does every verdict hold?

The jobs live in one emulator over a real socket; time passes only where the client sleeps or a request is
under way. What truly happened is known to the microsecond, and the oracle judges each verdict by that alone.
`make histories` prints what came of it.
"""
