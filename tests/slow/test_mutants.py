"""Every kind of mutant over every fixture."""

from collections import Counter
from pathlib import Path

import torch

from tests.backbones import mutants
from tests.backbones.mutants.__main__ import table


def test_fixtures_load(tmp_path: Path) -> None:
    """The positive controls: each as it is, and saved again as mutants are, unchanged."""
    for fixture, (_, parts) in mutants.ARCHS.items():
        path = tmp_path / "again.pth"
        for zipped in (True, False):
            content = mutants.loaded(fixture)
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            assert mutants.judged(path, fixture) == ("same", "")
        path.write_bytes(mutants.original(fixture, "safetensors"))
        assert mutants.judged(path, fixture)[0] == "same"
        assert mutants.expected(fixture, parts)


def test_no_mutant_loads_with_other_outputs(tmp_path: Path) -> None:
    found = list(mutants.outcomes(mutants.KINDS, range(len(mutants.ARCHS)), tmp_path))
    print(table(found))
    assert len(found) >= 200
    assert {outcome.fixture for outcome in found} == set(mutants.ARCHS)
    assert [it for it in found if it.verdict not in ("refused", "same")] == []
    assert Counter(outcome.verdict for outcome in found)["refused"] > 500


def test_what_only_a_hash_tells_breaks_nothing(tmp_path: Path) -> None:
    seeds = range(len(mutants.ARCHS))
    found = list(mutants.outcomes(mutants.UNDETECTABLE, seeds, tmp_path))
    print(table(found))
    assert {outcome.verdict for outcome in found} <= {"refused", "same", "other"}
