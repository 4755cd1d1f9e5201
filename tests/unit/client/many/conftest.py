"""The fixture of tests of many jobs."""

import pytest

from support.many import Many


@pytest.fixture(params=["sync", "async"], scope="session")
def many(request: pytest.FixtureRequest) -> Many:
    return Many(awaits=request.param == "async")
