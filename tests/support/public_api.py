"""The public API as text, one line for each name; `make api` writes it to tests/data/public_api.txt.

The text is the same on every supported Python and with every allowed version of click.
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol, cast, is_typeddict

import click

import taskcounts
import taskcounts_emulator
from taskcounts_cli.app import COMMANDS, cli
from taskcounts_cli.exits import Exit
from taskcounts_emulator import pytest_plugin

FILE = Path(__file__).parent.parent / "data" / "public_api.txt"
HEADER = "# The public API. Written by 'make api' and compared by tests/unit/test_public_api.py."
BEFORE_NAME: dict[Any, str] = {
    inspect.Parameter.KEYWORD_ONLY: "*, ",
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}
CONTEXT_MANAGER = ("__aenter__", "__enter__")


def public_api() -> list[str]:
    """Return the lines of the public API."""
    return [
        HEADER,
        *package_lines(taskcounts),
        *package_lines(taskcounts_emulator),
        *plugin_lines(),
        *command_line_lines(),
    ]


def package_lines(package: ModuleType) -> Iterator[str]:
    """Yield the lines of what a package exports."""
    for name in package.__all__:
        value, path = getattr(package, name), f"{package.__name__}.{name}"
        if inspect.isclass(value):
            yield from class_lines(path, value, package.__all__)
        elif inspect.isfunction(value):
            yield from callable_lines(path, value)
        elif isinstance(value, str):
            yield f"{path}: str"
        else:
            yield f"{path} = {without_modules(repr(value))}"


def class_lines(path: str, kind: type, public: list[str]) -> Iterator[str]:
    """Yield the lines of a class: its bases, parameters and members, but for those of public bases."""
    bases = [
        base.__name__
        for base in kind.__mro__[1:]
        if base.__name__ in public or (base.__module__ == "builtins" and base not in (object, BaseException))
    ]
    yield f"{path}: class({', '.join(bases)})"
    if issubclass(kind, enum.Enum):
        yield from (f"{path}.{member.name} = {member.value!r}" for member in kind)
        return
    own = [
        base
        for base in kind.__mro__
        if base.__module__.startswith("taskcounts") and (base is kind or base.__name__ not in public)
    ]
    if Protocol not in kind.__bases__ and any("__init__" in vars(base) for base in own):
        yield from parameter_lines(path, inspect.signature(kind))
    members: dict[str, list[str]] = {}
    for base in own:
        for name, annotation in inspect.get_annotations(base).items():
            if not name.startswith("_"):
                members.setdefault(name, [f"{path}.{name}: {annotation_text(annotation)}"])
        for name, value in vars(base).items():
            if not name.startswith("_") or name in CONTEXT_MANAGER:
                members.setdefault(name, list(member_lines(f"{path}.{name}", value)))
    for name in sorted(members):
        yield from members[name]


def member_lines(path: str, value: object) -> Iterator[str]:
    """Yield the lines of a property, a method or another member of a class."""
    if isinstance(value, property):
        assert value.fget is not None
        yield f"{path}: property -> {annotation_text(inspect.signature(value.fget).return_annotation)}"
    elif isinstance(value, classmethod | staticmethod):
        yield from callable_lines(path, value.__func__, type(value).__name__)
    elif inspect.isfunction(value):
        yield from callable_lines(path, value, "method")
    else:
        yield f"{path}: attribute"


def callable_lines(path: str, value: Callable[..., Any], kind: str = "function") -> Iterator[str]:
    """Yield the lines of a function or method: one with what it returns, and one for each parameter."""
    signature = inspect.signature(value)
    if inspect.iscoroutinefunction(value):
        kind = f"async {kind}"
    yield f"{path}: {kind} -> {annotation_text(signature.return_annotation)}"
    parameters = list(signature.parameters.values())
    if kind.endswith("method") and not kind.endswith("staticmethod"):
        parameters = parameters[1:]
    yield from parameter_lines(path, signature.replace(parameters=parameters))


def parameter_lines(path: str, signature: inspect.Signature) -> Iterator[str]:
    """Yield a line for each parameter; options given as a TypedDict are parameters by name."""
    for parameter in signature.parameters.values():
        annotation = annotation_text(parameter.annotation)
        options = re.fullmatch(r"Unpack\[(\w+)\]", annotation)
        if options:
            for name, option in inspect.get_annotations(typed_dict(options[1])).items():
                yield f"{path}(*, {name}: {annotation_text(option)} = ...)"
            continue
        before = BEFORE_NAME.get(parameter.kind, "")
        text = f"{before}{parameter.name}: {annotation}"
        if parameter.default is not parameter.empty:
            text += f" = {default_text(parameter.default)}"
        if parameter.kind is parameter.POSITIONAL_ONLY:
            text += ", /"
        yield f"{path}({text})"


def typed_dict(name: str) -> type:
    """Return the only TypedDict of that name."""
    ours = [module for module in sys.modules.values() if module.__name__.startswith("taskcounts")]
    (found,) = {vars(module)[name] for module in ours if is_typeddict(vars(module).get(name))}
    return cast(type, found)


def annotation_text(annotation: Any) -> str:
    """Return an annotation as the code spells it."""
    if annotation is inspect.Signature.empty:
        return "?"
    if isinstance(annotation, str):
        return annotation
    return str(getattr(annotation, "__forward_arg__", None) or inspect.formatannotation(annotation))


def default_text(value: object) -> str:
    """Return a default without the address of a function."""
    return value.__name__ if inspect.isfunction(value) else repr(value)


def without_modules(text: str) -> str:
    """Return the text of a type with the last parts of dotted names only."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)


def plugin_lines() -> Iterator[str]:
    """Yield the lines of the pytest plugin: its fixtures and its marker."""
    for name in pytest_plugin.__all__:
        if not name.startswith("pytest_"):
            yield f"pytest fixture {name}"
    markers: list[str] = []
    config: Any = SimpleNamespace(addinivalue_line=lambda _, line: markers.append(line))
    pytest_plugin.pytest_configure(config)
    for line in markers:
        yield f"pytest marker {line.partition(':')[0]}"


def command_line_lines() -> Iterator[str]:
    """Yield the lines of the command line: commands with their arguments and options, and exit codes."""
    context = click.Context(cli)
    yield from parameters_of("taskcounts", cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield f"taskcounts {name}: command"
        yield from parameters_of(f"taskcounts {name}", command)
    for code in Exit:
        yield f"exit code {code.value}: {code.name}"


def parameters_of(path: str, command: click.Command) -> Iterator[str]:
    """Yield the lines of a command's arguments and options."""
    for parameter in command.params:
        spelled = parameter.human_readable_name.upper()
        if isinstance(parameter, click.Option):
            spelled = ", ".join([*parameter.opts, *parameter.secondary_opts])
        text = f"{path} {spelled}: {type_text(parameter)}"
        if isinstance(parameter.default, str | int | float) and not isinstance(parameter.default, bool):
            text += f" = {parameter.default}"
        if parameter.required:
            text += ", required"
        if getattr(parameter, "multiple", False) or parameter.nargs == -1:
            text += ", repeatable"
        if parameter.envvar:
            text += f", from {parameter.envvar}"
        yield text


def type_text(parameter: click.Parameter) -> str:
    """Return what a parameter takes: choices, a range, or the name of its type."""
    kind = parameter.type
    if getattr(parameter, "is_flag", False):
        return "flag"
    if isinstance(kind, click.Choice):
        return "|".join(kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        ends = ("" if end is None else str(end) for end in (kind.min, kind.max))
        return f"{kind.name.removesuffix(' range')} {'..'.join(ends)}"
    return kind.name


def write() -> None:
    """Write the public API to its file."""
    FILE.write_text("\n".join(public_api()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
