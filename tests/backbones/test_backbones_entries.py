"""What the catalogue says: every field there, of its kind, and applied when a file is loaded."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import backbones
from backbones import catalogue_file

FILE = Path(catalogue_file.__file__).with_name("catalogue.toml")
ENTRIES = backbones.catalogue()
MINIMAL = """
[colours.half]
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
[objectives.mae]
paper = "one"
[encoders.one]
about = "a"
objective = "mae"
family = "vit"
format = "mae"
file = "one.pth"
source = "https://example.org/one.pth"
input_size = 224
colours = "half"
pool = "mean"
licence = "MIT"
data = "unknown"
evidence = "none"
[encoders.two]
about = "a"
objective = "mae"
family = "vit"
format = "mae"
file = "two.pth"
source = "drive:abc"
input_size = 224
colours = "half"
pool = "mean"
licence = "MIT"
data = "unknown"
evidence = "none"
[[pairs]]
encoders = ["one", "two"]
compared = "all"
evidence = "none"
differs = { epochs = ["1", "2"] }
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(tmp_path, text):
    path = tmp_path / "catalogue.toml"
    path.write_text(text, encoding="utf-8")
    return catalogue_file.read(path)


def test_what_is_there_is_read(tmp_path):
    encoders, objectives, (pair,) = read(tmp_path, MINIMAL)
    assert list(encoders) == ["one", "two"] and objectives == {"mae": {"paper": "one"}}
    assert encoders["one"].mean == (0.5, 0.5, 0.5) and encoders["one"].sha256 is None
    assert pair == backbones.Pair(("one", "two"), "all", "none", {"epochs": ("1", "2")})


@pytest.mark.parametrize(("old", "new", "message"), [
    ('licence = "MIT"\n', "", r"encoders.one: missing or unknown: licence"),
    ('licence = "MIT"', 'license = "MIT"', r"encoders.one: there is no license; known: name, obj"),
    ('licence = "MIT"', 'licence = ""', "licence is ''"),
    ("input_size = 224", 'input_size = "224"', "input_size is '224', expected int"),
    ("input_size = 224", "input_size = true", "input_size is True, expected int"),
    ("https://example", "http://example", "source is 'http://example"),
    ('"one.pth"', '"../one.pth"', r"file is '\.\./one.pth'"),
    ('"one.pth"', '"/one.pth"', r"file is '/one.pth'"),
    ('colours = "half"', 'colours = "grey"', "there is no grey; known: half"),
    ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, 0.5]", r"colours.half: expected three numbers"),
    ("mean = [0.5, 0.5, 0.5]", "mean = [127, 127, 127]", r"colours.half: expected three numbers"),
    ('pool = "mean"', 'pool = "max"', "pool is 'max', expected attention|class_token"),
    ('evidence = "none"\n[encoders.two]', 'evidence = "none"\nsha256 = "AB"\n[encoders.two]',
     "sha256 is 'AB'"),
    ('paper = "one"', 'paper = "three"', "objectives.mae: there is no three"),
    ('paper = "one"', 'huge = "one"', "objectives.mae: there is no huge; known: smoke, tiny"),
    ('["one", "two"]', '["one", "three"]', "there is no three"),
    ('["1", "2"]', '["1", "1"]', "epochs: expected two values that differ"),
    ('compared = "all"\n', "", "missing or unknown: compared"),
])  # fmt: skip
def test_what_is_wrong_is_refused_by_name(tmp_path, old, new, message):
    assert old in MINIMAL
    with pytest.raises(ValueError, match=message):
        read(tmp_path, MINIMAL.replace(old, new, 1))


def test_two_encoders_of_one_name_are_no_catalogue(tmp_path):
    with pytest.raises(tomllib.TOMLDecodeError):
        read(tmp_path, MINIMAL.replace("[encoders.two]", "[encoders.one]"))


def test_no_two_encoders_share_a_file_or_a_source():
    for field in ("file", "source"):
        values = [getattr(entry, field) for entry in ENTRIES.values() if not entry.shipped]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_says_what_was_checked(name):
    entry = ENTRIES[name]
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert entry.shipped or entry.address.startswith("https://")
    # No published file was downloaded for these tests: none may claim to have been loaded.
    assert ("this file: loaded" in entry.evidence) == entry.shipped
    assert entry.shipped or "this file: not loaded here" in entry.evidence


def test_names_that_torch_gives_files_hold_the_beginning_of_their_hash():
    named = {n: m[1] for n, e in ENTRIES.items() if (m := re.search(r"-([0-9a-f]{8})\.", e.file))}
    assert named == {n: e.sha256_prefix for n, e in ENTRIES.items() if e.sha256_prefix}


def test_an_address_that_holds_a_hash_holds_the_one_of_the_entry():
    found = {n: re.findall(r"[0-9a-f]{64}", e.source) for n, e in ENTRIES.items()}
    assert all(hashes == [ENTRIES[n].sha256] for n, hashes in found.items() if hashes)


def test_who_stands_for_an_objective_was_trained_for_it():
    for objective, scales in backbones.objectives().items():
        assert {ENTRIES[name].objective for name in scales.values()} == {objective}


@pytest.mark.parametrize("pair", backbones.pairs(), ids=lambda pair: "-".join(pair.encoders))
def test_pairs_name_all_in_which_their_entries_differ(pair):
    first, second = (ENTRIES[name] for name in pair.encoders)
    assert first.objective != second.objective and first.family in ("vit", "beit", second.family)
    points = {"data": "data", "input size": "input_size", "pooling": "pool"}
    for point, field in points.items():
        values = tuple(str(getattr(entry, field)) for entry in (first, second))
        expected = None if values[0] == values[1] else values
        assert pair.differs.get(point) == expected, point
    assert {"epochs", "batch"} & set(pair.differs)
    assert "augmentation" in pair.differs


def test_pairs_of_one_encoder():
    found = backbones.pairs("deit_vit_base")
    assert [p.encoders[0] for p in found] == ["simmim_vit_base", "mocov3_vit_base"]
    assert backbones.pairs("mae_vit_huge") == ()


@pytest.mark.parametrize("name", [n for n, e in ENTRIES.items() if e.shipped])
def test_the_catalogue_says_of_shipped_files_what_they_say(name):
    entry = ENTRIES[name]
    backbone = backbones.load(name)
    spec = backbone.spec
    assert (spec.family, spec.objective, spec.sha256) == (
        entry.family, entry.objective, entry.sha256
    )  # fmt: skip
    assert spec.arch["image_size"] == (entry.input_size, entry.input_size)
    assert entry.size == entry.shipped_path.stat().st_size
    # Nothing that the catalogue states had to correct what the file says.
    assert not any("by the catalogue" in note for note in spec.notes)
    assert (spec.mean, spec.std, spec.arch["pool"]) == (entry.mean, entry.std, entry.pool)


def put(cache, entry, file):
    target = cache / "checkpoints" / entry.file
    target.parent.mkdir(parents=True)
    target.write_bytes(file.read_bytes())


def test_mean_and_std_of_the_catalogue_win_over_the_layout(cache, fixtures):
    """A pre-trained BEiT v2 has the names of a BEiT, whose mean and std are 0.5."""
    file = fixtures / "beit_pretrain" / "checkpoint.pth"
    heads = {"num_heads": 2}
    implied = backbones.load(file, arch=heads)
    entry = ENTRIES["beitv2_base"]
    assert implied.spec.mean != entry.mean
    put(cache, entry, file)
    found = backbones.load("beitv2_base", arch=heads)
    assert (found.spec.mean, found.spec.std) == (entry.mean, entry.std)
    assert f"mean={entry.mean} by the catalogue" in found.spec.notes
    assert not any("BEiT v2" in note for note in found.spec.notes)
    images = torch.rand(1, 3, *found.input_size, generator=torch.Generator().manual_seed(0))
    given = backbones.load(file, arch={**heads, "mean": entry.mean, "std": entry.std})
    with torch.no_grad():
        assert torch.equal(found.pooled(images), given.pooled(images))
        assert not torch.allclose(found.pooled(images), implied.pooled(images), atol=1e-3)
    own = backbones.load("beitv2_base", arch={**heads, "mean": (0.5, 0.5, 0.5)})
    assert (own.spec.mean, own.spec.std) == ((0.5, 0.5, 0.5), entry.std)
    assert not any(note.startswith("mean=") and "catalogue" in note for note in own.spec.notes)


def test_pooling_and_architecture_of_the_catalogue_win(cache, mae_file, mae_heads, monkeypatch):
    entry = replace(ENTRIES["mae_vit_base"], pool="mean", md5_prefix=None, arch=mae_heads)
    monkeypatch.setattr("backbones.fetch.catalogue", lambda: {entry.name: entry})
    put(cache, entry, mae_file)
    found = backbones.load(entry.name)
    assert found.spec.arch["pool"] == "mean" and found.spec.arch["num_heads"] == 3
    assert "pool=mean by the catalogue" in found.spec.notes
    images = torch.rand(1, 3, *found.input_size, generator=torch.Generator().manual_seed(0))
    given = backbones.load(mae_file, arch={**mae_heads, "pool": "mean"})
    with torch.no_grad():
        assert torch.equal(found.pooled(images), given.pooled(images))


def test_families_without_a_choice_of_pooling_take_none(cache, fixtures):
    file = fixtures / "simmim_swin" / "checkpoint.pth"
    put(cache, ENTRIES["simmim_swin_base"], file)
    assert backbones.load("simmim_swin_base").spec.family == "swin"
