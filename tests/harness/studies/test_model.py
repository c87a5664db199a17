"""A study file becomes runs, or one clear line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.options import RunOptions
from harness.studies.model import expand, read

GOOD = """
name: controls
question: does it learn?
base: {backbone: mae, task: pose, max-steps: 20, set: {train.batch_size: 8, optimizer.lr: 0.0001}}
cells:
  - {name: trained}
  - {name: untrained, control: untrained}
  - {name: small, backbone: vit.pth, set: {train.batch_size: 4, backbone.input_size: [64, 96]}}
seeds: [0, 3]
"""


def study(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(text)
    return path


def test_cells_times_seeds_in_order(tmp_path: Path) -> None:
    jobs = expand(read(study(tmp_path, GOOD)), RunOptions(output=Path("there"), workers=1))
    assert [(job.cell, job.options.seed) for job in jobs] == [
        (name, seed) for seed in (0, 3) for name in ("trained", "untrained", "small")
    ]
    base = RunOptions(
        backbone="mae",
        max_steps=20,
        sets=("train.batch_size=8", "optimizer.lr=0.0001"),
        output=Path("there"),
        workers=1,
    )
    assert jobs[0].options == base
    assert jobs[1].options == replace(base, control="untrained")
    assert jobs[2].options == replace(
        base,
        backbone="vit.pth",
        sets=(*base.sets, "train.batch_size=4", "backbone.input_size=[64, 96]"),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: controls", "nome: controls", "`name`: Field required"),
        ("seeds: [0, 3]", "seeds: [0, 0]", "a seed stands twice"),
        ("seeds: [0, 3]", "seeds: [-1]", "`seeds.0`"),
        ("seeds: [0, 3]", "seeds: []", "`seeds`"),
        ("seeds: [0, 3]", "reference: nobody", "names no cell"),
        ("{name: small, ", "{name: trained, ", "share the name trained"),
        ("cells:", "celle:", "`cells`: Field required"),
        ("control: untrained", "contrl: untrained", "there is no option `contrl`"),
        ("control: untrained", "control: nothing", "cell `untrained`: `control`"),
        ("max-steps: 20", "max-steps: many", "base: `max_steps`"),
        ("max-steps: 20", "seed: 1", "there is no option `seed`"),
        ("set: {train.batch_size: 8, optimizer.lr: 0.0001}", "set: [a]", "`set` must map"),
        ("question: does it learn?", "question: [", "is not valid YAML at line"),
    ],
)
def test_a_broken_study_is_one_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(UserError) as caught:
        expand(read(study(tmp_path, GOOD.replace(old, new))))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_studies_that_ship_are_whole() -> None:
    folder = Path(__file__).parents[3] / "studies"
    files = set(folder.glob("*.yaml")) - {folder / "claims.yaml"}  # what inspections are judged by
    assert files
    for path in sorted(files):
        jobs = expand(read(path))
        assert len(jobs) == len({(job.cell, job.options.seed) for job in jobs})
