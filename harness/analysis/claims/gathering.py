"""The evidence that there is: looks inside the encoders, taken as they are asked for, and runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import results
from backbones import LoadError
from harness.analysis.asking import Inspection, Look
from harness.analysis.claims.evidence import Evidence
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.analysis.claims.model import Role
    from harness.analysis.rows import Found
    from harness.comparing import Filters
    from harness.console import Console


@dataclass(frozen=True)
class Asked:
    """What is asked for.

    Attributes:
        names: role -> encoder, as `harness inspect` takes it.
        source, count, input_size: images, as in `Inspection`.
        filters: what narrows the runs to one setting.
        output: folder of the runs.
        table: URL of the results table; SQLite in the output by default.
    """

    names: Mapping[Role, str]
    source: str
    count: int | None
    input_size: int | None
    filters: Filters
    output: Path
    table: str | None = None


@dataclass
class Looks:
    """Looks inside the encoders, each taken once and put into the table.

    Attributes:
        found: role and measure -> what was found, or why it could not be.
    """

    asked: Asked
    table: results.Table
    console: Console
    found: dict[tuple[Role, str], Found | UserError | LoadError] = field(default_factory=dict)

    def __call__(self, role: Role, measure: str) -> Found:
        """What a measure found.

        Raises:
            UserError, LoadError: the encoder does not have the measure, or there is no such one.
        """
        if (role, measure) not in self.found:
            self.found[role, measure] = self._take(role, measure)
        found = self.found[role, measure]
        if isinstance(found, Exception):
            raise found
        return found

    def check(self) -> None:
        """Refuse an encoder of which nothing was found.

        Raises:
            UserError, LoadError: why.
        """
        for role in dict.fromkeys(role for role, _ in self.found):
            each = [found for (of, _), found in self.found.items() if of == role]
            if isinstance(each[0], Exception) and all(isinstance(f, Exception) for f in each):
                raise each[0]

    def _take(self, role: Role, measure: str) -> Found | UserError | LoadError:
        from harness.analysis.looking import carry_out

        name = self.asked.names[role]
        inspection = Inspection(
            names=(name,),
            measures=(measure,),
            source=self.asked.source,
            count=self.asked.count,
            input_size=self.asked.input_size,
            output=self.asked.output,
            table=self.asked.table,
        )
        try:
            record, found = carry_out(inspection, Look(measure, (name,)), self.console)
        except (UserError, LoadError) as error:
            return error
        self.table.put(record)
        return found


def gather(asked: Asked, console: Console) -> tuple[Evidence, Looks]:
    """All there is; nothing is computed yet.

    Raises:
        ResultsError: the table cannot be read.
    """
    table = results.Table(asked.table or asked.output / "results.sqlite")
    looks = Looks(asked, table, console)
    evidence = Evidence(
        asked.names,
        looks,
        Inspection(()).minibatch,
        table.records(),
        asked.filters,
        asked.output,
    )
    return evidence, looks
