"""Mutants of lists, and of single jobs: their items, pages, filters and selections."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from contract.mutants.answers import NAMES, where
from contract.mutants.server import TOKEN, Answer, Mutant, Request, Serve, Server
from contract.target import JOB, JOBS, LISTS, TASKS
from taskcounts_rest import contract

Item = dict[str, Any]
Items = list[Item]

NO_TRUTH = "nothing else tells what is true there"
ONE_PAGE = "the job's tasks fit on a page"
SMALL_PAGE = "no page there is as long"

# What is held against the counts, and against the list that was taken first.
TASKS_AGREE = frozenset({"counts-agree", "reference", "tasks-agree", "movement"})
JOBS_AGREE = frozenset({"jobs-agree", "job-agrees", "job-filters", "jobs", "standing-jobs"})
AGREE = {TASKS: TASKS_AGREE, JOBS: JOBS_AGREE, JOB: JOBS_AGREE}


def page(operation: str, change: Callable[[Request, dict[str, Any]], object]) -> Serve:
    """Return a server that changes the pages of a list, or a job."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        if answer.status == 200 and request.operation == operation:
            body = answer.json
            change(request, body)
            answer.json = body
        return answer

    return serve


def items(operation: str, change: Callable[[Items], object], fits: Callable[[Request], bool]) -> Serve:
    """Return a server that changes the items of some of its answers."""

    def spoil(request: Request, body: dict[str, Any]) -> None:
        if fits(request):
            change(body["value"] if operation in LISTS else [body])

    return page(operation, spoil)


# Items

_CONTEXTS: Mapping[str, Callable[[Request], bool]] = {
    "everywhere": lambda _: True,
    "when filtered": lambda request: "$filter" in request.parameters,
    "when selected": lambda request: "$select" in request.parameters,
    "on later pages": lambda request: TOKEN in request.parameters,
    "when the page is small": lambda request: "maxresults" in request.parameters,
}


def _put(*path: str, to: Callable[[Any], Any], of: str = "") -> Callable[[Items], None]:
    """Change a member of each item that has it, or only of those whose state or id is given."""

    def change(found: Items) -> None:
        for item in found:
            *parents, name = path
            members: Any = item
            for parent in parents:
                members = members.get(parent, {})
            if name in members and (not of or of in (item.get("state"), item.get("id"))):
                members[name] = to(members[name])

    return change


def _drop(*path: str) -> Callable[[Items], None]:
    def change(found: Items) -> None:
        for item in found:
            *parents, name = path
            members: Any = item
            for parent in parents:
                members = members.get(parent, {})
            members.pop(name, None)

    return change


def _next_day(time: str) -> str:
    return time.replace("2", "3", 1) if not time.startswith("2") else "2031" + time[4:]


def _lose(name: str) -> Callable[[Items], None]:
    def change(found: Items) -> None:
        found[:] = [item for item in found if item.get("id") != name]

    return change


def _ended(found: Items) -> None:
    for item in found:
        if item.get("state") == "running" and "executionInfo" in item:
            item["executionInfo"]["endTime"] = _TIME


def _one_more(found: Items) -> None:
    if found and len(found) < 1000:
        found.append({**found[-1], "id": found[-1]["id"] + "x"})


# What is changed, and whether it contradicts something if it is changed everywhere.
_TASKS: Mapping[str, tuple[Callable[[Items], object], bool]] = {
    "one active task as running": (_put("state", to=lambda _: "running", of="task-9"), True),
    "preparing as active": (_put("state", to=lambda _: "active", of="preparing"), True),
    "completed as running": (_put("state", to=lambda _: "running", of="completed"), True),
    "one failed as succeeded": (_put("executionInfo", "result", to=lambda _: "success", of="task-22"), True),
    "all failed": (_put("executionInfo", "result", to=lambda _: "failure"), True),
    "one slot more": (_put("requiredSlots", to=lambda slots: slots + 1, of="task-9"), True),
    "one slot each": (_put("requiredSlots", to=lambda _: 1), True),
    "no requiredSlots": (_drop("requiredSlots"), True),
    "a task lost": (_lose("task-5"), True),
    "the first item lost": (lambda found: found.__delitem__(slice(1)), True),
    "a task more": (_one_more, True),
    "a blank id": (_put("id", to=lambda _: "", of="task-5"), True),
    "an end of what runs": (_ended, True),
    "an id changed": (_put("id", to=lambda _: "task-0", of="task-5"), False),
    "stateTransitionTime changed": (_put("stateTransitionTime", to=_next_day), False),
    "creationTime changed": (_put("creationTime", to=_next_day), True),
    "startTime changed": (_put("executionInfo", "startTime", to=_next_day), False),
    "endTime changed": (_put("executionInfo", "endTime", to=_next_day), False),
    "exitCode changed": (_put("executionInfo", "exitCode", to=lambda code: code + 1), False),
    "retryCount changed": (_put("executionInfo", "retryCount", to=lambda count: count + 1), False),
    "requeueCount changed": (_put("executionInfo", "requeueCount", to=lambda count: count + 1), False),
}
_JOBS: Mapping[str, tuple[Callable[[Items], object], bool]] = {
    "another id": (_put("id", to=lambda _: "empty", of="nightly-render"), True),
    "disabled": (_put("state", to=lambda _: "disabled"), True),
    "completed": (_put("state", to=lambda _: "completed", of="nightly-render"), True),
    "stateTransitionTime changed": (_put("stateTransitionTime", to=_next_day), True),
    "creationTime changed": (_put("creationTime", to=_next_day), True),
    "startTime changed": (_put("executionInfo", "startTime", to=_next_day), True),
    "onAllTasksComplete changed": (_put("onAllTasksComplete", to=lambda _: "terminatejob"), True),
    "usesTaskDependencies changed": (_put("usesTaskDependencies", to=lambda flag: not flag), True),
    "the job lost": (_lose("nightly-render"), True),
    "a job more": (_one_more, True),
}


def _items() -> Iterator[Mutant]:
    for context, fits in _CONTEXTS.items():
        for what, (change, contradicts) in _TASKS.items():
            if contradicts or context != "everywhere":
                yield Mutant(
                    "tasks: items",
                    f"{what}, {context}",
                    TASKS_AGREE
                    | {"filter", "task-filters", "task-pages", "selection", "endings", "page-ids", "times"},
                    items(TASKS, change, fits),
                )
        for what, (change, contradicts) in _JOBS.items():
            if contradicts or context != "everywhere":
                yield Mutant(
                    "jobs: items",
                    f"{what}, {context}",
                    JOBS_AGREE | {"filter", "job-pages", "selection", "page-ids"},
                    items(JOBS, change, fits),
                )
    for what, (change, _) in _JOBS.items():
        if "lost" not in what and "more" not in what:
            for context in ("everywhere", "when selected"):
                yield Mutant(
                    "job: members",
                    f"{what}, {context}",
                    JOBS_AGREE | {"selection"},
                    items(JOB, change, _CONTEXTS[context]),
                )


def _unknown_values() -> Iterator[Mutant]:
    """Yield mutants that send a value which nobody knows, where the fragment lists those that there are."""
    paths = {
        TASKS: (("state",), ("executionInfo", "result"), ("executionInfo", "failureInfo", "category")),
        JOBS: (("state",), ("onAllTasksComplete",), ("executionInfo", "schedulingError", "category")),
    }
    paths[JOB] = paths[JOBS]
    for operation, members in paths.items():
        for path in members:

            def change(found: Items, path: tuple[str, ...] = path) -> None:
                for item in found[-1:]:
                    *parents, name = path
                    holder: Any = item
                    for parent in parents:
                        holder = holder.setdefault(
                            parent, {"retryCount": 0, "requeueCount": 0, "startTime": _TIME}
                        )
                    holder[name] = "sleeping"

            yield Mutant(
                "known values",
                f"{NAMES[operation]}: {'.'.join(path)}",
                frozenset({"known-values"}),
                items(operation, change, lambda request: "$select" not in request.parameters),
            )
    yield Mutant(
        "known values",
        "tasks: completed without a result",
        frozenset({"endings"}),
        items(TASKS, _drop("executionInfo", "result"), _CONTEXTS["everywhere"]),
    )
    yield Mutant(
        "known values",
        "tasks: completed without executionInfo",
        frozenset({"endings"}),
        items(TASKS, _drop("executionInfo"), _CONTEXTS["everywhere"]),
    )


_TIME = "2024-08-01T12:34:56Z"


# Filters

Rewrite = Callable[[str], str | None]


def reread(operation: str, name: str, rewrite: Rewrite, *, pages: str = "all") -> Serve:
    """Return a server that reads a parameter as another text, or passes over it."""

    def serve(server: Server, request: Request) -> Answer:
        if request.operation != operation or (pages == "later" and TOKEN not in request.parameters):
            return server.ask(request)
        parts = []
        for spelled, text in request.parts:
            read = rewrite(text) if spelled.lower() == name else text
            if read is not None:
                parts.append((spelled, read))
        return server.ask_instead(request, request.asking(parts))

    return serve


def _terms(text: str) -> list[str]:
    """Split a filter into its terms and the words between them."""
    return re.split(" (and|or) ", text)


def _joined(terms: list[str]) -> str | None:
    return " ".join(terms) or None


def _without_terms(of: str) -> Rewrite:
    """Pass over the terms of a property."""

    def rewrite(text: str) -> str | None:
        terms = _terms(text)
        kept = [index for index in range(0, len(terms), 2) if not terms[index].startswith(of)]
        word = f" {terms[1]} " if len(terms) > 1 else ""
        return word.join(terms[index] for index in kept) or None

    return rewrite


def _inverted(text: str) -> str:
    """Look for what doesn't fit."""
    swapped = {" eq ": " ne ", " ne ": " eq ", " and ": " or ", " or ": " and "}
    return re.sub(" (eq|ne|and|or) ", lambda match: swapped[match[0]], text)


def _replace(old: str, new: str) -> Rewrite:
    return lambda text: text.replace(old, new)


def _exactly(old: str, new: str | None) -> Rewrite:
    return lambda text: new if text == old else text


_NONE = {TASKS: "state eq 'active' and state eq 'running'", JOBS: "state eq 'active' and state eq 'disabled'"}
_NOTHING = "startswith(id,'nothing-begins-so')"

_TASK_FILTERS: Mapping[str, Rewrite] = {
    "ignored": lambda _: None,
    "the first term alone": lambda text: _terms(text)[0],
    "the last term alone": lambda text: _terms(text)[-1],
    "the last term left out": lambda text: _joined(_terms(text)[:-2]) or text,
    "the first term left out": lambda text: _joined(_terms(text)[2:]) or text,
    "the first or alone": lambda text: " or ".join(text.split(" or ")[:1]),
    "the last or alone": lambda text: text.split(" or ")[-1],
    "the second term left out": lambda text: _joined(_terms(text)[:1] + _terms(text)[3:]) or text,
    "or as and": _replace(" or ", " and "),
    "and as or": _replace(" and ", " or "),
    "ne as eq": _replace(" ne ", " eq "),
    "eq as ne": _replace(" eq ", " ne "),
    "state eq as ne": _replace("state eq ", "state ne "),
    "result eq as ne": _replace("executionInfo/result eq ", "executionInfo/result ne "),
    "inverted": _inverted,
    "state ignored": _without_terms("state"),
    "result ignored": _without_terms("executionInfo"),
    "running for preparing": _replace("'preparing'", "'running'"),
    "active for preparing": _replace("'preparing'", "'active'"),
    "preparing among the running": _replace(
        "state eq 'running'", "state ne 'active' and state ne 'completed'"
    ),
    "success for failure": _replace("'failure'", "'success'"),
    "failure for success": _replace("'success'", "'failure'"),
    "ors ignored": lambda text: None if " or " in text else text,
    "ands ignored": lambda text: None if " and " in text else text,
    **{
        f"nothing {state}": _exactly(f"state eq '{state}'", _NOTHING)
        for state in contract.KNOWN_VALUES["CloudTask.state"]
    },
    **{
        f"nothing with {operator} {result}": _exactly(f"executionInfo/result {operator} '{result}'", _NOTHING)
        for operator in ("eq", "ne")
        for result in contract.KNOWN_VALUES["TaskExecutionInformation.result"]
    },
    **{
        f"everything with {operator} {result}": _exactly(f"executionInfo/result {operator} '{result}'", None)
        for operator in ("eq", "ne")
        for result in contract.KNOWN_VALUES["TaskExecutionInformation.result"]
    },
}
_JOB_FILTERS: Mapping[str, Rewrite] = {
    "ignored": lambda _: None,
    "ne as eq": _replace(" ne ", " eq "),
    "eq as ne": _replace(" eq ", " ne "),
    "inverted": _inverted,
    "state ignored": lambda text: None if text.startswith("state") else text,
    "ne ignored": lambda text: None if " ne " in text else text,
    "eq ignored": lambda text: None if " eq " in text else text,
    "startswith ignored": lambda text: None if text.startswith("startswith") else text,
    "startswith finds nothing": lambda text: _NOTHING if text.startswith("startswith") else text,
    "startswith as eq": lambda text: re.sub(r"startswith\(id,(.*)\)", r"id eq \1", text),
    "startswith by the first letter": lambda text: re.sub(r"(startswith\(id,'.).*'", r"\1'", text),
    "startswith in one case": lambda text: _NOTHING if re.search("id,'[A-Z]", text) else text,
    **{
        f"everything {state}": _exactly(f"state eq '{state}'", None)
        for state in contract.KNOWN_VALUES["CloudJob.state"]
        if state != "active"
    },
    "nothing active": _exactly("state eq 'active'", _NOTHING),
    **{
        f"nothing but {state}": _exactly(f"state ne '{state}'", f"state eq '{state}'")
        for state in contract.KNOWN_VALUES["CloudJob.state"]
    },
}


def _filters() -> Iterator[Mutant]:
    caught_by = {TASKS: TASKS_AGREE | {"filter", "task-filters"}, JOBS: JOBS_AGREE | {"filter"}}
    for operation, kinds in ((TASKS, _TASK_FILTERS), (JOBS, _JOB_FILTERS)):
        for what, rewrite in kinds.items():
            yield Mutant(
                f"{NAMES[operation]}: filters",
                what,
                caught_by[operation],
                reread(operation, "$filter", rewrite),
            )
        yield Mutant(
            f"{NAMES[operation]}: filters",
            "dropped on the next page",
            caught_by[operation] | {"next-link"},
            reread(operation, "$filter", lambda _: None, pages="later"),
        )


def _together() -> Iterator[Mutant]:
    """Yield mutants that pass over a parameter beside another one."""
    caught_by = {
        TASKS: TASKS_AGREE | {"filter", "select", "page-size", "task-filters", "selection"},
        JOBS: JOBS_AGREE | {"filter", "select", "page-size", "selection"},
    }
    for operation in LISTS:
        for ignored in ("$filter", "$select", "maxresults"):
            for other in ("$filter", "$select", "maxresults", TOKEN):
                if other == ignored:
                    continue
                yield Mutant(
                    f"{NAMES[operation]}: together",
                    f"{ignored} ignored beside {other}",
                    caught_by[operation],
                    _when(other, reread(operation, ignored, lambda _: None)),
                )


# Selections

_MEMBERS = {
    TASKS: ("stateTransitionTime", "creationTime", "requiredSlots", "executionInfo"),
    JOBS: (
        "stateTransitionTime",
        "creationTime",
        "executionInfo",
        "onAllTasksComplete",
        "usesTaskDependencies",
    ),
}
_MEMBERS[JOB] = _MEMBERS[JOBS]


def _selections() -> Iterator[Mutant]:
    for operation, members in _MEMBERS.items():
        family, caught_by = (
            f"{NAMES[operation]}: selections",
            AGREE[operation] | {"select", "selection", "result-body"},
        )
        agree = AGREE[operation] | {"selection", "endings"}
        yield Mutant(family, "ignored", caught_by, reread(operation, "$select", lambda _: None))
        if operation in LISTS:
            yield Mutant(
                family,
                "dropped on the next page",
                caught_by | {"next-link"},
                reread(operation, "$select", lambda _: None, pages="later"),
            )
        yield Mutant(
            family,
            "the first two names alone",
            agree,
            reread(operation, "$select", lambda text: ",".join(text.split(",")[:2])),
        )
        yield Mutant(
            family,
            "the last name left out",
            agree,
            reread(
                operation, "$select", lambda text: text if text.count(",") < 2 else text.rpartition(",")[0]
            ),
        )
        for member in members:
            yield Mutant(
                family,
                f"without {member}",
                agree,
                reread(
                    operation,
                    "$select",
                    lambda text, member=member: ",".join(name for name in text.split(",") if name != member),  # type: ignore[misc]
                ),
            )
            yield Mutant(
                family,
                f"with {member} unasked",
                caught_by,
                reread(
                    operation,
                    "$select",
                    lambda text, member=member: text if member in text else f"{text},{member}",  # type: ignore[misc]
                ),
            )
        inner = ("result", "exitCode", "startTime", "endTime") if operation == TASKS else ("startTime",)
        for name in inner:
            yield Mutant(
                family,
                f"without executionInfo.{name}",
                agree | {"result-body"},
                items(operation, _drop("executionInfo", name), _CONTEXTS["when selected"]),
            )


# Pages


def _linked(change: Callable[[str], str | None]) -> Callable[[Request, dict[str, Any]], None]:
    """Change the link to the next page, or leave it out."""

    def spoil(_: Request, body: dict[str, Any]) -> None:
        link = body.pop("odata.nextLink", None)
        changed = change(link) if link else None
        if changed:
            body["odata.nextLink"] = changed

    return spoil


def _dropped(name: str) -> Callable[[str], str]:
    """Drop a parameter of the query."""
    return lambda link: re.sub(rf"(?i)(?<=[?&]){re.escape(name)}=[^&]*&?", "", link).rstrip("&?")


def _here(request: Request) -> str:
    return f"http://{request.headers['host']}{request.target}"


def _to_itself(request: Request, body: dict[str, Any]) -> None:
    if "odata.nextLink" in body:
        body["odata.nextLink"] = _here(request)


def _to_first(request: Request, body: dict[str, Any]) -> None:
    """Lead from the last page to the first."""
    first = request.asking([part for part in request.parts if part[0] != TOKEN])
    body.setdefault("odata.nextLink", _here(first))


def _onward(request: Request, body: dict[str, Any]) -> None:
    """Lead from the last page to a page that isn't there."""
    body.setdefault("odata.nextLink", f"{_here(request)}&{quote(TOKEN)}=bm9uc2Vuc2U")


def _lost_at_border(_: Request, body: dict[str, Any]) -> None:
    if "odata.nextLink" in body:
        del body["value"][-1:]


def _lost_at_beginning(request: Request, body: dict[str, Any]) -> None:
    if TOKEN in request.parameters:
        del body["value"][:1]


def _empty_later(request: Request, body: dict[str, Any]) -> None:
    if TOKEN in request.parameters:
        body["value"] = []


def _empty_last(request: Request, body: dict[str, Any]) -> None:
    if TOKEN in request.parameters and "odata.nextLink" not in body:
        body["value"] = []


def _twice(_: Request, body: dict[str, Any]) -> None:
    body["value"] += body["value"][:1]


def _twice_in_other_case(_: Request, body: dict[str, Any]) -> None:
    body["value"] += [{**item, "id": item["id"].swapcase()} for item in body["value"][:1]]


def _again_on_next(operation: str) -> Serve:
    """Return a server that begins each page with the last item of the page before."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        if answer.status == 200 and request.operation == operation:
            body = answer.json
            last = server.memory.pop("last", None)
            if TOKEN in request.parameters and last:
                body["value"] = [last, *body["value"]]
                body["value"] = body["value"][: int(request.parameters.get("maxresults", 1000))]
            server.memory["last"] = body["value"][-1] if body["value"] else None
            answer.json = body
        return answer

    return serve


def _skips_a_page(operation: str) -> Serve:
    """Return a server whose second page is the third."""

    def serve(server: Server, request: Request) -> Answer:
        answer = server.ask(request)
        if answer.status == 200 and request.operation == operation and TOKEN not in request.parameters:
            link = answer.json.get("odata.nextLink")
            if link:
                path, _, query = link.split("/", 3)[3].partition("?")
                second = server.ask_instead(request, Request("GET", "/" + path, query, {**request.headers}))
                return _with_link(answer, second.json.get("odata.nextLink") if second.status == 200 else None)
        return answer

    return serve


def _unlink(answer: Answer) -> None:
    _with_link(answer, None)


def _with_link(answer: Answer, link: str | None) -> Answer:
    body = answer.json
    body.pop("odata.nextLink", None)
    answer.json = body | ({"odata.nextLink": link} if link else {})
    return answer


def _sized(operation: str, rewrite: Rewrite) -> Serve:
    return reread(operation, "maxresults", rewrite)


def _number(change: Callable[[int], int]) -> Rewrite:
    """Read a number that is right as another one."""
    return lambda text: (
        str(change(int(text))) if re.fullmatch("[1-9][0-9]{0,3}", text) and int(text) < 1000 else text
    )


def _pages() -> Iterator[Mutant]:
    for operation in LISTS:
        pages = "task-pages" if operation == TASKS else "job-pages"
        agree = AGREE[operation] | {pages}
        links = frozenset({"next-link", pages})
        kinds: dict[str, tuple[frozenset[str], Serve, str]] = {
            "no link": (agree, page(operation, _linked(lambda _: None)), ""),
            "no link with a filter": (
                agree,
                where(
                    lambda request, answer, o=operation: (  # type: ignore[misc]
                        request.operation == o and answer.status == 200 and "$filter" in request.parameters
                    ),
                    _unlink,
                ),
                "",
            ),
            "an item lost at the border": (agree, page(operation, _lost_at_border), ""),
            "an item lost at the beginning": (agree, page(operation, _lost_at_beginning), ""),
            "later pages empty": (agree, page(operation, _empty_later), ""),
            "the last page empty": (agree, page(operation, _empty_last), ""),
            "a page skipped": (agree, _skips_a_page(operation), ""),
            "an item twice": (frozenset({"page-ids"}), page(operation, _twice), ""),
            "an item twice in another case": (
                frozenset({"page-ids"}),
                page(operation, _twice_in_other_case),
                "",
            ),
            "an item on two pages": (agree, _again_on_next(operation), ""),
            "a link to itself": (links, page(operation, _to_itself), ""),
            "a link to the first page": (links, page(operation, _to_first), ""),
            "a link that is refused": (agree, page(operation, _onward), ""),
            "a link to another host": (
                links,
                page(operation, _linked(lambda link: link.replace("://", "://elsewhere.", 1))),
                "",
            ),
            "a link to another port": (
                links,
                page(operation, _linked(lambda link: link.replace(".test", ".test:8080", 1))),
                "",
            ),
            "a link to https": (
                links,
                page(operation, _linked(lambda link: link.replace("http:", "https:", 1))),
                "",
            ),
            "a link without a host": (
                links,
                page(operation, _linked(lambda link: "/" + link.split("/", 3)[3])),
                "",
            ),
            "a blank link": (links | {"result-body"}, page(operation, _linked(lambda _: " ")), ""),
            "a link to another list": (
                links,
                page(
                    operation,
                    _linked(
                        lambda link: (
                            re.sub("/jobs/[^/]+/tasks", "/jobs/empty/tasks", link)
                            if "/tasks" in link
                            else link.replace("/jobs?", "/jobs/empty/tasks?")
                        )
                    ),
                ),
                "",
            ),
            "a link without api-version": (links, page(operation, _linked(_dropped("api-version"))), ""),
            "a link without maxresults": (
                agree | {"page-size", "next-link"},
                page(operation, _linked(_dropped("maxresults"))),
                "",
            ),
            "a link without the selection": (
                agree | {"select", "next-link"},
                page(operation, _linked(_dropped("$select"))),
                "",
            ),
            "a link without the filter": (
                agree | {"filter", "next-link", "task-filters"},
                page(operation, _linked(_dropped("$filter"))),
                "",
            ),
            "a link without the token": (links, page(operation, _linked(_dropped(TOKEN))), ""),
            "maxresults ignored": (frozenset({"page-size"}), _sized(operation, lambda _: None), ""),
            "a page of one more": (
                frozenset({"page-size"}),
                _sized(operation, _number(lambda size: size + 1)),
                "",
            ),
        }
        for what, (caught_by, serve, unseen) in kinds.items():
            yield Mutant(f"{NAMES[operation]}: pages", what, caught_by, serve, unseen)
    yield Mutant("tasks: pages", "an end at 1,000 tasks", TASKS_AGREE, page(TASKS, _ends), ONE_PAGE)
    yield Mutant("tasks: pages", "a page of 1,001", frozenset({"page-size"}), page(TASKS, _longer), ONE_PAGE)


def _ends(_: Request, body: dict[str, Any]) -> None:
    """Say after 1,000 items that there are no more."""
    if len(body["value"]) == 1000:
        body.pop("odata.nextLink", None)


def _longer(_: Request, body: dict[str, Any]) -> None:
    if len(body["value"]) == 1000:
        body["value"].append({**body["value"][0], "id": "one-more"})


def _when(name: str, serve: Serve) -> Serve:
    """Serve requests with a parameter in one way, and the others right."""
    return lambda server, request: (
        serve(server, request) if name in request.parameters else server.ask(request)
    )


def mutants() -> Iterator[Mutant]:
    """Yield the mutants of lists and jobs."""
    for family in (_items, _unknown_values, _filters, _together, _selections, _pages):
        yield from family()
