"""Changed, damaged and hostile files are refused in one line, or give what they gave."""

from __future__ import annotations

import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

import backbones
from backbones import fetch, fingerprints
from tests.backbones import mutants
from tests.backbones.mutants import hostile, pickles


def test_one_of_each_kind(tmp_path):
    found = list(mutants.outcomes(mutants.KINDS, range(1), tmp_path))
    assert len(found) == len(mutants.KINDS) >= 49
    assert [it for it in found if it.verdict not in ("refused", "same")] == []
    # What is loaded again has only another prefix, or a byte changed that nothing depends on.
    assert {it.kind for it in found if it.verdict == "same"} <= {"prefix_added", "names_in_zip"}


def test_mutants_are_the_same_each_time(tmp_path):
    for kind in ("renamed", "tensor_in_zip", "safetensors_header_of_safetensors"):
        first, again = (
            mutants.made(kind, "mae_vit", 5, tmp_path)[0].read_bytes() for _ in range(2)
        )
        other = mutants.made(kind, "mae_vit", 6, tmp_path)[0].read_bytes()
        assert first == again != other


@pytest.mark.parametrize("payload", pickles.PAYLOADS)
def test_no_planted_code_runs(payload, tmp_path):
    path, marker = tmp_path / "mutant.pth", tmp_path / hostile.MARKER
    code, content = pickles.PAYLOADS[payload](marker), mutants.loaded("simmim_vit")
    for place in hostile.PLACES:
        for container in hostile.CONTAINERS:
            hostile.plant(content, code, path, place, container)
            with pytest.raises(backbones.LoadError) as caught:
                backbones.load(path)
            assert str(caught.value).isprintable()
            assert not marker.exists()


def test_the_payloads_would_run(tmp_path):
    """What is planted is no dud: Python's own reader runs most of it."""
    code = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1]))"
    marker, ran = tmp_path / hostile.MARKER, []
    for name in ("reduce_os_system", "instance", "name_from_stack", "reduce_getattr"):
        planted = b"\x80\x02" + pickles.PAYLOADS[name](marker) + b"."
        subprocess.run([sys.executable, "-c", code, planted.hex()], check=True)
        ran.append(marker.exists())
        marker.unlink(missing_ok=True)
    assert all(ran)


@pytest.fixture
def little_memory():
    """Leave 256 MiB to this process."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (256 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


CLAIMS = {
    hostile.expanded_tensor: "claims tensors of 1073847389 elements",
    hostile.claimed_storage: "claims storages of 4294967296 elements",
    hostile.zip_bomb: "is compressed, .* would unpack to 268435458 bytes",
    hostile.overlapping_zip: "its entries overlap: it would unpack to",
    hostile.tensor_without_bytes: "damaged or truncated safetensors file",
}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and RLIMIT_AS are Linux's")
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_what_claims_much_is_refused_before_memory_is_taken(
    claim, tmp_path, little_memory, refused
):
    claim(mutants.loaded("simmim_vit"), tmp_path / "mutant.pth", Random(0))
    refused(tmp_path / "mutant.pth", CLAIMS[claim])


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and RLIMIT_AS are Linux's")
@pytest.mark.parametrize("container", hostile.CONTAINERS)
@pytest.mark.parametrize("bomb", pickles.BOMBS)
def test_no_pickle_grows_or_goes_on_for_ever(bomb, container, tmp_path, little_memory, refused):
    path = tmp_path / "mutant.pth"
    content = mutants.loaded("simmim_vit")
    hostile.plant(content, pickles.BOMBS[bomb](), path, "among", container)
    refused(path, "nests tuples|no tensors|asks for|damaged or trunc|holds a|holds no weights")


def test_names_out_of_a_file_move_no_cursor(tmp_path, refused):
    state = mutants.state_of("simmim_vit")[1]
    torch.save({"model": state | {"encoder.a\n\x1b[2Jb": torch.zeros(1)}}, tmp_path / "named.pth")
    refused(tmp_path / "named.pth", r"not in the model: encoder.a\\n\\x1b\[2Jb")


@pytest.mark.parametrize("kind", mutants.UNDETECTABLE)
def test_what_no_content_tells_the_hash_does(kind, tmp_path, monkeypatch):
    """A file that somebody might have trained loads as such, but not by the name of another."""
    entry = backbones.catalogue()["simmim_vit_base"]
    original = mutants.FIXTURES / "simmim_vit" / "checkpoint.pth"
    entry = replace(entry, sha256=fingerprints.fingerprint(original).sha256)
    monkeypatch.setenv("HARNESS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("backbones.fetch.catalogue", lambda: {entry.name: entry})
    path = tmp_path / entry.file
    path.write_bytes(original.read_bytes())
    assert backbones.load(entry.name).loaded_sha256 == backbones.load(original).loaded_sha256
    mutant = mutants.made(kind, "simmim_vit", 0, tmp_path / "mutant")[0]
    # A byte may also fall where it is noticed.
    assert mutants.judged(mutant, "simmim_vit")[0] == "other" or kind == "byte_of_legacy"
    path.write_bytes(mutant.read_bytes())
    with pytest.raises(backbones.LoadError, match=f"^{path} has SHA-256 .*, not .*published"):
        fetch.locate(entry.name)


def test_one_table_of_all_blocks_tells_the_heads(tmp_path):
    """Which is why a column more is another encoder where the width has as many parts."""
    state = mutants.state_of("simmim_vit")[1]
    name = f"encoder.{mutants.content.SHARED_TABLE}"
    for more, heads in ((0, 3), (1, 4)):
        grown = torch.cat([state[name], state[name][:, :more]], dim=1)
        torch.save({"model": state | {name: grown}}, tmp_path / "grown.pth")
        assert backbones.load(tmp_path / "grown.pth").spec.arch["num_heads"] == heads
