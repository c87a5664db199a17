"""Evidence of known truth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.claims.evidence import Evidence
from harness.analysis.claims.model import Claims, Role
from harness.analysis.rows import Found, row
from harness.comparing import Filters
from harness.errors import UserError
from results import Record
from tests.results.records import make, sha

NAMES: dict[Role, str] = {"mim": "one", "supervised": "two"}


def claims(*tests: dict[str, Any], **more: Any) -> Claims:
    """A file with one claim."""
    claim = {"id": "C1", "claim": "c", "networks": "n", "source": "s", "needs": "e"}
    return Claims.model_validate({"study": "s", "claims": [claim | {"tests": tests}]} | more)


def evidence(
    looks: Mapping[Role, Found] | None = None,
    records: Sequence[Record] = (),
    output: Path = Path("runs"),
    filters: Filters | None = None,
    names: Mapping[Role, str] = NAMES,
) -> Evidence:
    """What tests of claims draw on, with looks that are given."""

    def look(role: Role, measure: str) -> Found:
        if not looks or role not in looks:
            raise UserError(f"{role} has no {measure}")
        return looks[role]

    return Evidence(names, look, 32, records, filters or Filters(), output)


def attention(means: np.ndarray, measure: str, n: int = 128, noise: float = 0.05) -> Found:
    """Values by image around (blocks,heads) or (blocks,), the same noise for every encoder."""
    drawn = np.random.default_rng(3).standard_normal((n, *means.shape))
    drawn -= drawn.mean(axis=0)
    return Found((), {measure: means * (1 + noise * drawn)})


def similarity(value: float, error: float | None = 0.01, n: int = 256, depth: int = 4) -> Found:
    """All pairs of blocks alike."""
    rows = [
        row(measure, 1.0 if i == j else value, n, error=error, block=i, other_block=j)
        for measure in ("similarity.cka.tokens", "similarity.cka.pooled")
        for i in range(depth)
        for j in range(depth)
    ]
    return Found(tuple(rows))


def run(
    backbone: str,
    seed: int,
    value: float,
    *,
    drop: int = 0,
    mode: str = "removed",
    labels: str = "",
    error: float | None = 0.001,
    **fields: Any,
) -> Record:
    """A finished run whose recipe says which blocks are dropped."""
    plain = make(backbone, seed, value, error, **fields)
    recipe = plain.recipe | {
        "backbone": {"drop_last": drop, "drop_mode": mode},
        "data": {"name": "microworld", "labels": labels},
    }
    identity = plain.identity | {"recipe": recipe, "data": labels}
    cell = sha(json.dumps(identity, sort_keys=True))
    return plain.model_copy(update={"recipe": recipe, "identity": identity, "cell": cell})
