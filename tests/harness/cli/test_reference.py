"""docs/commands.md names exactly the commands and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

from harness.cli.commands import COMMANDS
from harness.cli.reference import commands, options

DOCUMENT = Path(__file__).parents[3] / "docs/commands.md"


def documented() -> dict[str, set[str]]:
    """Command -> the names in the first column of its table."""
    sections = re.split(r"^## (harness .+)$", DOCUMENT.read_text(encoding="utf-8"), flags=re.M)[1:]
    rows = re.compile(r"^\| (?!option )(.+?) \|", re.M)
    return {
        name: set(rows.findall(text))
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }


def test_the_document_has_every_command_and_option_and_no_other() -> None:
    there = {name: {option for option, *_ in options(command)} for name, command in commands()}
    assert documented() == there


def test_every_command_and_option_has_help() -> None:
    for name, command in commands():
        assert command.help, name
        for option, said, _ in options(command):
            assert said, f"{name} {option}"


def test_every_command_of_the_table_leads_somewhere() -> None:
    reached = {name.split()[1] for name, _ in commands()}
    assert reached == set(COMMANDS)
