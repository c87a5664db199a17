"""The file of claims: what ships, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import plugins
from harness.analysis.claims.model import OF_BLOCKS, OF_HEADS, OF_PAIRS, Area, Reach, Wins
from harness.analysis.claims.reading import read
from harness.cli.main import call
from harness.errors import UserError
from tasks.classification.datasets.catalogue import PUBLICATIONS

SHIPPED = Path(__file__).parents[4] / "studies" / "claims.yaml"


def changed(tmp_path: Path, place: tuple[Any, ...], value: Any) -> Path:
    """The shipped file with one entry changed."""
    content = yaml.safe_load(SHIPPED.read_text())
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_file_has_a_test_of_each_of_the_nine_claims() -> None:
    found = read(SHIPPED)
    ids = {claim.id[:2] for claim in found.claims}
    assert ids == {f"C{number}" for number in range(1, 10)}
    assert found.roles == ("mim", "supervised", "contrastive")


def test_its_tasks_data_sets_and_terms_of_losses_exist() -> None:
    found = read(SHIPPED)
    for test in (test for claim in found.claims for test in claim.tests):
        if hasattr(test, "task"):
            assert plugins.task(test.task)
        if isinstance(test, Area | Reach):
            terms = {t for pair in plugins.task(test.task).ratios.values() for t in sum(pair, ())}
            assert test.term in {*terms, "loss"}
        if isinstance(test, Wins):
            assert test.task == "classification"
    assert {each.dataset for each in found.sets} <= {*PUBLICATIONS, "microworld"}


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("claims", 0, "tests", 0, "measure"), "attention.distanse", "C1.*no such measure"),
        (("claims", 0, "tests", 0, "measure"), "attention.kl", "leave `heads` out"),
        (("claims", 0, "tests", 0, "of"), "mim + supervised", "mim - supervised"),
        (("claims", 0, "tests", 0, "above"), 1.0, "`above` or `below`"),
        (("claims", 0, "tests", 0, "evidence"), "guess", "C1"),
        (("claims", 0, "tests"), [], "C1.tests"),
        (("claims", 4, "tests", 0, "of"), "mim / supervised", "one role or a - b"),
        (("claims", 1, "id"), "C1", "two claims are called C1"),
        (("sets", 0, "coverage"), 2, "coverage"),
        (("covered_from",), "half", "covered_from"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(
    tmp_path: Path, place: tuple[Any, ...], value: Any, says: str
) -> None:
    with pytest.raises(UserError, match=says) as refused:
        read(changed(tmp_path, place, value))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["claims: [", "- 1", "", "study: x\nclaims: 3", "claims: [1]"])
def test_no_file_of_claims_is_exit_code_2(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    assert call(["claims", str(path)]) == 2
    assert call(["claims", str(tmp_path / "none.yaml")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 2
    assert said[0].startswith("error: the claims ") and "cannot read" in said[1]


def test_measures_are_named_once() -> None:
    names = [*OF_HEADS, *OF_BLOCKS, *OF_PAIRS]
    assert len(set(names)) == len(names)
