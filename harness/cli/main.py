"""The command `harness`: finds the command, imports only that, turns errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.cli.commands import COMMANDS, overview
from harness.cli.errors import CTRL_C, DONE, conclude
from harness.cli.notes import noted

if TYPE_CHECKING:
    import typer


def main() -> int:
    """Run what the process was called with; returns the exit code."""
    return call(sys.argv[1:])


def call(arguments: Sequence[str]) -> int:
    """Run one command; errors are printed and become the exit code of design section 5."""
    try:
        with noted():
            return _call(list(arguments))
    except SystemExit:
        raise
    except BaseException as error:
        return conclude(error)


def application(names: Sequence[str]) -> typer.Typer:
    """The commands of those names as one typer application; imports what stands behind them."""
    import typer

    # Completion costs its options half the start-up time: they are coerced by pydantic.
    app = typer.Typer(
        name="harness", add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    for name in names:
        module, _, attribute = COMMANDS[name].target.partition(":")
        found: Any = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            found.rich_markup_mode = None
            app.add_typer(found, name=name, help=COMMANDS[name].help)
        else:
            app.command(name)(found)
    return app


def _root() -> None:
    """Measures what a vision encoder is good for: one command, one trusted record."""


def _call(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(overview())
        return DONE
    name = "version" if arguments[0] == "--version" else arguments[0]
    if name not in COMMANDS:
        from harness.plugins import unknown

        raise unknown("command", name, list(COMMANDS), "harness --help")
    # A help option, even unused, makes typer import pydantic: 0.3 s.
    names = ["--help"] if "--help" in arguments else []
    code = application([name])(
        [name, *arguments[1:]],
        prog_name="harness",
        standalone_mode=False,
        help_option_names=names,
    )
    if code == CTRL_C:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else DONE


if __name__ == "__main__":
    sys.exit(main())
