"""Lists of jobs and tasks: pages and links, filters, and selected members."""

from __future__ import annotations

from typing import Any

import pytest

from support.batch_api import VERSION, Api, refused, told


@pytest.fixture
def full(api: Api) -> Api:
    """A client of an emulator with jobs j0 to j6; j3 has tasks t0 to t24, every fifth of them completed."""
    for number in range(7):
        if number != 3:
            api.emulator.add_job(f"j{number}")
    tasks: list[dict[str, Any]] = [{"id": f"t{number}"} for number in range(25)]
    for task in tasks[::5]:
        task |= {"state": "completed", "result": "success"}
    api.emulator.add_job("j3", tasks)
    return api


def ids(pages: list[dict[str, Any]]) -> list[str]:
    """Return the ids of all items."""
    return [item["id"] for page in pages for item in page["value"]]


@pytest.mark.parametrize(("size", "pages"), [(1, 25), (7, 4), (24, 2), (25, 1), (1000, 1)])
def test_pages_hold_everything_once(full: Api, size: int, pages: int) -> None:
    """Each page has the requested size, the last one has no link, and every item occurs once."""
    found = list(full.pages("/jobs/j3/tasks", maxresults=size))
    assert len(found) == pages
    assert ids(found) == sorted(f"t{number}" for number in range(25))
    assert "odata.nextLink" not in found[-1]
    assert {page["odata.metadata"] for page in found} == {f"{full.emulator.endpoint}/$metadata#tasks"}


def test_jobs_are_listed(full: Api) -> None:
    """Jobs come in the order of their ids, with the same members as a single one."""
    pages = list(full.pages("/jobs", maxresults=3))
    assert [len(page["value"]) for page in pages] == [3, 3, 1]
    assert ids(pages) == [f"j{number}" for number in range(7)]
    assert pages[0]["odata.metadata"] == f"{full.emulator.endpoint}/$metadata#jobs"
    single = full.job("j0")
    del single["odata.metadata"]
    assert pages[0]["value"][0] == single


def test_a_task_in_a_list_is_as_it_is_alone(full: Api) -> None:
    """A task is shown alike in a list and alone."""
    single = full.task("t0", "j3")
    del single["odata.metadata"]
    assert told(full("GET", "/jobs/j3/tasks"))["value"][0] == single


def test_a_page_is_a_thousand_unless_fewer_are_asked_for(api: Api) -> None:
    """The default size is the service's limit."""
    api.emulator.add_job("big", [{"count": 1001}])
    assert [len(page["value"]) for page in api.pages("/jobs/big/tasks", _select="id")] == [1000, 1]


def test_a_link_repeats_what_was_asked_for(full: Api) -> None:
    """It has the same host, list and parameters, fully encoded, whatever their case was."""
    page = told(
        full.send(
            "GET",
            f"/jobs/J3/tasks?api-version={VERSION}&$Filter=state+eq%20'active'&maxResults=2"
            "&$select=id%2Cstate&timeOut=20&$expand=stats",
        )
    )
    link = page["odata.nextLink"]
    begin, _, query = link.partition("?")
    assert begin == f"{full.emulator.endpoint}/jobs/J3/tasks"
    token, *rest = query.split("&")
    assert token.startswith("$skiptoken=")
    assert rest == [
        f"api-version={VERSION}",
        "$filter=state%20eq%20%27active%27",
        "maxresults=2",
        "$select=id%2Cstate",
        "timeout=20",
        "$expand=stats",
    ]


def test_a_list_is_filtered_through_all_its_pages(full: Api) -> None:
    """The filter applies to every page, however its spaces were encoded."""
    found = list(full.pages("/jobs/j3/tasks", _filter="state eq 'completed' or id eq 't1'", maxresults=2))
    assert ids(found) == ["t0", "t1", "t10", "t15", "t20", "t5"]
    assert ids(list(full.pages("/jobs", _filter="startswith(id, 'j') and id gt 'j4'"))) == ["j5", "j6"]
    plus = full.send("GET", f"/jobs?api-version={VERSION}&$filter=id+eq+'j2'")
    assert ids([told(plus)]) == ["j2"]


def test_an_empty_list_has_no_items_and_no_link(api: Api) -> None:
    """It has no items and no link."""
    page = told(api("GET", "/jobs"))
    assert page == {"odata.metadata": f"{api.emulator.endpoint}/$metadata#jobs", "value": []}


@pytest.mark.parametrize("path", ["/jobs", "/jobs/j3", "/jobs/j3/tasks", "/jobs/j3/tasks/t0"])
def test_select_leaves_only_the_named_members(full: Api, path: str) -> None:
    """$select leaves exactly the named members, of lists and single resources, if they have values."""
    answer = told(full("GET", path, _select="id, state,stats"))
    item = answer["value"][0] if "value" in answer else answer
    assert {"id", "state"} == {name for name in item if name != "odata.metadata"}


def test_members_that_were_kept_can_be_asked_for(api: Api) -> None:
    """Members that the caller sent can be selected, and so can their defaults."""
    api.add_job(displayName="x")
    api.add_task(displayName="y")
    jobs = told(api("GET", "/jobs", _select="displayName,constraints"))["value"]
    assert [set(job) for job in jobs] == [{"displayName", "constraints"}]
    tasks = told(api("GET", "/jobs/job/tasks", _select="displayName,constraints"))["value"]
    assert [set(task) for task in tasks] == [{"displayName", "constraints"}]


@pytest.mark.parametrize("path", ["/jobs", "/jobs/j3", "/jobs/j3/tasks", "/jobs/j3/tasks/t0"])
@pytest.mark.parametrize(
    ("name", "value"), [("_select", "id,other"), ("_select", "ID"), ("_select", ""), ("_expand", "tasks")]
)
def test_unknown_members_cannot_be_selected_or_expanded(full: Api, path: str, name: str, value: str) -> None:
    """Names are case-sensitive; only stats can be expanded."""
    options: dict[str, Any] = {name: value}
    details = refused(full("GET", path, **options), 400, "InvalidQueryParameterValue")
    assert details["QueryParameterName"] == name.replace("_", "$")
    assert details["QueryParameterValue"] == value


@pytest.mark.parametrize("path", ["/jobs", "/jobs/j3/tasks"])
@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("0", "InvalidQueryParameterValue", "MaxResults cannot be less than 1"),
        ("-5", "InvalidQueryParameterValue", "MaxResults cannot be less than 1"),
        ("", "InvalidQueryParameterValue", "MaxResults is not a whole number"),
        ("1.5", "InvalidQueryParameterValue", "MaxResults is not a whole number"),
        ("x", "InvalidQueryParameterValue", "MaxResults is not a whole number"),
        ("1001", "OutOfRangeQueryParameterValue", "MaxResults cannot be more than 1000"),
        ("9" * 4000, "OutOfRangeQueryParameterValue", "MaxResults cannot be more than 1000"),
    ],
)
def test_a_page_has_from_one_to_a_thousand_items(
    full: Api, path: str, value: str, code: str, reason: str
) -> None:
    """Other numbers are refused; those below 1 with the recorded error."""
    details = refused(full("GET", path, maxresults=value), 400, code)
    assert details == {"QueryParameterName": "maxresults", "QueryParameterValue": value, "Reason": reason}


@pytest.mark.parametrize("path", ["/jobs", "/jobs/j3/tasks"])
@pytest.mark.parametrize("value", ["", "state", "state eq active", "other eq 'x'", "id eq 'x' and"])
def test_an_invalid_filter_is_refused(full: Api, path: str, value: str) -> None:
    """The refusal contains the reason."""
    details = refused(full("GET", path, _filter=value), 400, "InvalidQueryParameterValue")
    assert details["QueryParameterName"] == "$filter"
    assert details["Reason"].startswith("character ")


def test_a_token_leads_through_its_own_list_alone(full: Api) -> None:
    """An invalid token, or one of another list or filter, is refused."""
    page = told(full("GET", "/jobs/j3/tasks", maxresults=1))
    token = page["odata.nextLink"].partition("$skiptoken=")[2].partition("&")[0]
    tries: list[tuple[str, dict[str, Any]]] = [
        ("/jobs/j3/tasks", {"_skiptoken": "made-up"}),
        ("/jobs/j3/tasks", {"_skiptoken": token, "_filter": "state eq 'active'"}),
        ("/jobs/j2/tasks", {"_skiptoken": token}),
        ("/jobs", {"_skiptoken": token}),
    ]
    for path, options in tries:
        details = refused(full("GET", path, **options), 400, "InvalidQueryParameterValue")
        assert details["QueryParameterName"] == "$skiptoken"
    assert ids([told(full("GET", "/jobs/J3/tasks", maxresults=1, _skiptoken=token))]) == ["t1"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/jobs", "_orderby"),
        ("/jobs/j3", "_filter"),
        ("/jobs/j3/tasks", "_top"),
        ("/jobs/j3/tasks/t0", "_skiptoken"),
        ("/jobs/j3/taskcounts", "_select"),
    ],
)
def test_an_option_that_an_operation_has_not_is_refused(full: Api, path: str, name: str) -> None:
    """Ignoring the option would mislead: the response would not be what was asked for."""
    options: dict[str, Any] = {name: "id"}
    details = refused(full("GET", path, **options), 400, "UnsupportedQueryParameter")
    assert details == {"QueryParameterName": name.replace("_", "$")}


@pytest.mark.parametrize("name", ["maxresults", "$filter", "$select", "$expand", "$skiptoken", "force"])
def test_a_parameter_that_stands_twice_is_refused(full: Api, name: str) -> None:
    """Names are compared without case."""
    answer = full.send("GET", f"/jobs?api-version={VERSION}&{name}=1&{name.upper()}=1")
    assert refused(answer, 400, "InvalidQueryParameterValue")["Reason"] == "The parameter is repeated"


def test_lists_do_not_lag(full: Api) -> None:
    """Under a lag model, counts trail and lists do not."""
    full.emulator.set_lag({"delay": 60})
    full.emulator.advance(60)
    full("POST", "/jobs/j3/tasks/t1/terminate")
    assert told(full("GET", "/jobs/j3/taskcounts"))["taskCounts"]["completed"] == 5
    done = told(full("GET", "/jobs/j3/tasks", _filter="state eq 'completed'"))["value"]
    assert len(done) == 6
