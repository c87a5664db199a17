"""`harness claims` as a user calls it, with looks of known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backbones import LoadError
from harness.analysis import looking
from harness.analysis.asking import Inspection, Look
from harness.analysis.rows import Found
from harness.cli.main import call
from results import Record, Table
from tests.harness.analysis.claims.stand_ins import run, similarity
from tests.results.records import make

SHIPPED = Path(__file__).parents[3] / "studies" / "claims.yaml"
SPREAD = {"simmim": (0.1, 0.9), "supervised": (0.85, 0.9), "contrastive": (0.8, 0.9)}
KEPT = {"simmim": 1.0, "supervised": 0.1, "contrastive": 0.1}


def look(asked: Inspection, which: Look, console: Any) -> tuple[Record, Found]:
    """Values that the study would have: local and diverse heads, or broad and alike ones."""
    (name,) = which.names
    record = make(name, kind="inspection", task="inspection", cell=f"{hash(which) % 2**64:064x}")
    if name not in SPREAD:
        raise LoadError(f"unknown backbone {name!r}")
    if which.measure == "similarity":
        return record, similarity(0.9 if name == "simmim" else 0.4)
    heads = np.linspace(*SPREAD[name], 4) * np.ones((12, 1))
    blocks = np.array([1.0] * 9 + [KEPT[name]] * 3)
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal((64, 1, 1))
    relative = ("attention.distance_relative", "attention.entropy_relative")
    by_image = dict.fromkeys(relative, heads * noise)
    return record, Found((), by_image | {"attention.kl": blocks * noise[..., 0]})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(looking, "carry_out", look)
    return tmp_path


def verdicts(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, str]:
    assert call(["claims", str(SHIPPED), "--json", *arguments]) == 0
    told = json.loads(capfd.readouterr().out)
    return {claim["id"]: claim["verdict"] for claim in told["claims"]}


def test_what_is_inside_decides_and_what_was_not_run_does_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    found = verdicts(capfd)
    assert {each for each, verdict in found.items() if verdict == "holds"} == {
        *("C1", "C2", "C3", "C3b", "C4")
    }
    assert {found[each] for each in ("C5", "C6", "C7", "C7b", "C8", "C9")} == {"undecided"}


def test_exchanged_encoders_exchange_the_verdicts(capfd: pytest.CaptureFixture[str]) -> None:
    found = verdicts(capfd, "--mim", "supervised", "--supervised", "simmim")
    assert {found[each] for each in ("C1", "C2", "C3", "C4")} == {"does not hold"}
    assert found["C3b"] == "undecided"


def test_the_text_says_verdicts_reasons_and_whose_they_are(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert call(["claims", str(SHIPPED)]) == 0
    said = capfd.readouterr().out
    assert "C1     holds      3, 0, 0" in said
    assert "C1 holds: Masked image modelling is local" in said
    assert "  missing: no finished run of `simmim`" in said
    assert (
        '  run: for b in simmim supervised; do for s in 0 1 2; do harness run --backbone "$b" '
        in (said)
    )
    assert "these files only: simmim (mim), supervised (supervised), contrastive" in said


def test_runs_of_the_table_count(capfd: pytest.CaptureFixture[str]) -> None:
    table = Table("sqlite:///runs/results.sqlite")
    for task, better in (("pose", "higher"), ("depth", "lower"), ("tracking", "higher")):
        for seed in range(3):
            sign = 1 if better == "higher" else -1
            for name, value in (("simmim_vit_micro", 0.8), ("supervised_vit_micro", 0.5)):
                figure = sign * value + seed / 1000
                table.put(run(name, seed, figure, task=task, better=better))
    assert verdicts(capfd)["C6"] == "holds"
    assert verdicts(capfd, "--where", "train.steps=3")["C6"] == "undecided"


def test_an_encoder_that_cannot_be_opened_is_exit_code_2(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert call(["claims", str(SHIPPED), "--mim", "simmin"]) == 2
    assert capfd.readouterr().err.strip() == "error: unknown backbone 'simmin'"
