"""The reference of all commands: `python -m harness.cli.reference > docs/commands.md`."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

from harness.cli.commands import COMMANDS

INTRODUCTION = """\
# Commands

What each command takes. `harness COMMAND --help` says the same.

Progress and messages go to stderr, results to stdout. Exit codes: 0 done; 2 the input, with one
line that says what to do; 1 a failure of the harness, with a traceback and the place of the log, or
a run, study or smoke cell that failed; 130 Ctrl-C and 143 SIGTERM, after the state is saved.

Written by `python -m harness.cli.reference > docs/commands.md`.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be called, by its full name."""
    import typer

    from harness.cli.main import application

    root = typer.main.get_command(application(list(COMMANDS)))
    order = list(COMMANDS)
    yield from sorted(_leaves("harness", root), key=lambda leaf: order.index(leaf[0].split()[1]))


def markdown() -> str:
    """The whole reference."""
    return INTRODUCTION + "".join(_section(name, command) for name, command in commands())


def options(command: Any) -> Iterator[tuple[str, str, str]]:
    """Name, help and default of each argument and option of a command."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.name.upper()).replace("|", " or ")
        else:
            name = ", ".join(f"`{flag}`" for flag in parameter.opts)
        default = parameter.default
        unsaid = default is None or default is False or default in ((), []) or callable(default)
        shown = "" if unsaid else f"`{default}`"
        yield name, parameter.help or "", shown


def _leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None or getattr(command, "invoke_without_command", False):
        yield name, command
    for word, child in (inner or {}).items():
        yield from _leaves(f"{name} {word}", child)


def _section(name: str, command: Any) -> str:
    text = cleandoc(command.help or "").replace("\b", "").strip()
    rows = [
        f"| {first} | {said.replace('|', chr(92) + '|')} | {shown} |"
        for first, said, shown in options(command)
    ]
    table = "\n".join(["| option | meaning | default |", "|---|---|---|", *rows])
    return f"\n## {name}\n\n{text}\n" + (f"\n{table}\n" if rows else "")


if __name__ == "__main__":
    print(markdown(), end="")
