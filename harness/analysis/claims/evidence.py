"""What the tests of claims may draw on."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.claims.deciding import Missing
from harness.analysis.claims.model import OfRuns, Role
from harness.analysis.rows import Found
from harness.comparing import Filters, side
from harness.errors import UserError
from results import Record

SEEDS = 3
"""Runs of an encoder that a test of runs needs at least."""
WHOLE = "backbone.drop_last=0"
NAMES: dict[Role, str] = {"mim": "simmim", "supervised": "supervised"}
"""The encoders that shipped studies are about."""

Look = Callable[[Role, str], Found]
"""Gives what a measure of MEASURES found in an encoder: for all encoders with the same images, in
the same order. Raises UserError or LoadError where the encoder does not have the measure."""


@dataclass(frozen=True)
class Evidence:
    """All there is.

    Attributes:
        names: role -> encoder, as a user names it; a role may be left open.
        look: into the encoders.
        minibatch: images in one of CKA's.
        records: of all runs.
        filters: what narrows the runs to one setting.
        output: folder of the runs.
    """

    names: Mapping[Role, str]
    look: Look
    minibatch: int
    records: Sequence[Record]
    filters: Filters
    output: Path


def runs(
    evidence: Evidence,
    test: OfRuns,
    where: Sequence[str] = (WHOLE,),
    dataset: str | None = None,
) -> list[tuple[Record, ...]] | Missing:
    """The finished runs of each encoder of a test in one setting, by seed, of the seeds that all of
    them have.

    Args:
        where: what their recipe says beside what the test asks for; whole encoders by default.
    """
    given = evidence.filters
    filters = Filters(
        dataset or given.dataset,
        given.scale,
        test.protocol or given.protocol,
        (*given.where, *test.where, *where),
    )
    records = [r for r in evidence.records if r.task == test.task and r.kind == "run"]
    repeat = command(evidence, test, where, dataset)
    try:
        sides = [side(records, evidence.names[role], filters) for role in test.roles]
    except UserError as error:
        return Missing(str(error), repeat)
    seeds = set.intersection(*({record.seed for record in group} for group in sides))
    if len(seeds) < SEEDS:
        who = " and ".join(evidence.names[role] for role in test.roles)
        return Missing(f"{len(seeds)} common seeds of {who}, {SEEDS} are needed", repeat)
    by_seed = [sorted(group, key=lambda record: record.seed) for group in sides]
    return [tuple(record for record in group if record.seed in seeds) for group in by_seed]


def command(
    evidence: Evidence,
    test: OfRuns,
    where: Sequence[str] = (),
    dataset: str | None = None,
    levels: Sequence[int] = (),
) -> str:
    """The command line, for a POSIX shell, that makes the runs; those that are finished are not
    repeated.

    Args:
        levels: numbers of blocks that are removed, one after another.
    """
    given = evidence.filters
    output = "" if evidence.output == Path("runs") else shlex.quote(str(evidence.output))
    if test.study and all(evidence.names[role] == NAMES.get(role) for role in test.roles):
        return f"harness study {test.study}" + (f" --output {output}" if output else "")
    options = {
        "--dataset": dataset or given.dataset,
        "--scale": given.scale,
        "--protocol": test.protocol or given.protocol,
    }
    words = [f"{flag} {shlex.quote(value)}" for flag, value in options.items() if value]
    words += [f"--output {output}"] if output else []
    conditions = [each for each in (*given.where, *test.where, *where) if each != WHOLE]
    words += [f"--set {shlex.quote(condition)}" for condition in conditions]
    words += ["--set backbone.drop_last=$n"] if levels else []
    run = " ".join([f'harness run --backbone "$b" --task {test.task} --seed $s', *words])
    loops = {
        "s": [str(seed) for seed in range(SEEDS)],
        "n": [str(level) for level in levels],
        "b": [shlex.quote(evidence.names[role]) for role in test.roles],
    }
    for name, values in loops.items():
        if values:
            run = f"for {name} in {' '.join(values)}; do {run}; done"
    return run
