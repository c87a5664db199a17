"""Which commands there are: an explicit table, nothing of it imported before it is called."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command or a group of commands.

    Attributes:
        target: `module:name` of a function, or of a `typer.Typer` for a group.
        help: one line for the overview.
    """

    target: str
    help: str


COMMANDS: dict[str, Command] = {
    "run": Command("harness.cli.run:run", "Train an encoder on a task and keep a record."),
    "study": Command("harness.cli.study:study", "Run a file of cells and compare them."),
    "list": Command("harness.cli.listing:app", "List tasks, backbones, datasets or recipes."),
    "show": Command("harness.cli.show:app", "Show a recipe, a record or an encoder."),
    "explain": Command("harness.cli.show:explain", "Say what a task trains and measures."),
    "smoke": Command("harness.cli.smoke:smoke", "Prove in seconds that every way is open."),
    "data": Command("harness.cli.data:app", "Prepare, check or preview a data set."),
    "cache": Command("harness.cli.cache:app", "Show or clear the features that are kept."),
    "backbone": Command(
        "harness.cli.backbone:app", "Check a checkpoint file, fetch a published one."
    ),
    "pretrain": Command("harness.cli.pretrain:app", "Pre-train an encoder, verify a shipped one."),
    "results": Command("harness.cli.results:app", "List, show, export or rebuild results."),
    "inspect": Command("harness.cli.inspect:inspect", "Look inside encoders, layer by layer."),
    "compare": Command("harness.cli.compare:compare", "Say whether encoders really differ."),
    "claims": Command("harness.cli.claims:claims", "Hold the study's claims against two encoders."),
    "evaluate": Command(
        "harness.cli.evaluate:evaluate", "Measure a trained or published model, without training."
    ),
    "export": Command("harness.cli.export:app", "Write or check what a benchmark's server takes."),
    "rescore": Command("harness.cli.results:rescore", "Compute metrics anew from predictions."),
    "report": Command("harness.cli.results:report", "Write the leaderboard from the table."),
    "version": Command("harness.cli.version:version", "Print the version."),
}


def overview() -> str:
    """The text of `harness --help`, without importing a command."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: harness COMMAND [OPTIONS]",
            "",
            "Measures what a vision encoder is good for: one command, one trusted record.",
            "",
            "Commands:",
            *lines,
            "",
            "`harness COMMAND --help` explains a command. To begin with:",
            "  harness run --backbone simmim --task pose",
        ]
    )
