"""A checkpoint in several safetensors files is read as one, or refused in one line."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import backbones
from backbones import files

INDEX = "model.safetensors.index.json"
FIRST, SECOND = (f"model-0000{i}-of-00002.safetensors" for i in (1, 2))


@pytest.fixture
def folder(tmp_path, simmim_file):
    """SimMIM's encoder in two shards, every second tensor in the second."""
    tensors = torch.load(simmim_file, weights_only=True)["model"]
    shards = {FIRST: {}, SECOND: {}}
    for i, (name, value) in enumerate(tensors.items()):
        shards[(FIRST, SECOND)[i % 2]][name] = value.contiguous()
    for file, part in shards.items():
        save_file(part, tmp_path / file, metadata={"format": "pt"})
    names = {name: file for file, part in shards.items() for name in part}
    write(tmp_path, names)
    return tmp_path


def write(folder, names):
    content = {"metadata": {"total_size": 1}, "weight_map": names}
    (folder / INDEX).write_text(json.dumps(content))


def names_in(folder):
    return json.loads((folder / INDEX).read_text())["weight_map"]


def test_index_and_folder_are_one_checkpoint(folder, simmim_file):
    whole = backbones.load(simmim_file)
    for path in (folder, folder / INDEX):
        backbone = backbones.load(path)
        assert backbone.parameters_sha256() == whole.parameters_sha256()
        assert backbone.key_report.total == whole.key_report.total
        assert backbone.key_report.format == "simmim"
    assert files.read(folder).container == "safetensors index"


def test_the_index_is_known_by_its_content(folder, simmim_file):
    (folder / INDEX).rename(folder / "weights.txt")
    assert backbones.load(folder / "weights.txt").key_report.format == "simmim"


def test_the_hash_is_that_of_the_weights(folder):
    before = files.read(folder).sha256
    write(folder, dict(sorted(names_in(folder).items())))
    assert files.read(folder).sha256 == before
    part = load_file(folder / SECOND)
    part[next(iter(part))] += 1
    save_file(part, folder / SECOND)
    assert files.read(folder).sha256 != before


def test_the_index_is_watched_as_the_shards_are(folder, monkeypatch, refused):
    """Another index would name other shards than those that were hashed."""
    index = folder / INDEX
    before = files.read_shards

    def and_change(path):
        content = before(path)
        index.write_text(index.read_text() + " ")
        return content

    monkeypatch.setattr(files, "read_shards", and_change)
    refused(folder, r"\.index\.json changed while it was read")


def test_missing_shards(folder, refused):
    (folder / SECOND).unlink()
    refused(folder, f"1 of 2 shards are missing: {SECOND}")


def test_foreign_shards(folder, refused):
    shutil.copy(folder / SECOND, folder / "model-00003-of-00003.safetensors")
    refused(folder, r"does not name lie beside it: model-00003-of-00003\.safetensors")
    (folder / "model-00003-of-00003.safetensors").rename(folder / "other.safetensors")
    assert backbones.load(folder).key_report.format == "simmim"


def test_shards_with_other_tensors(folder, refused):
    shutil.copy(folder / FIRST, folder / SECOND)
    refused(folder, f"{SECOND} is not the shard that the index describes: it lacks .* and also has")


@pytest.mark.parametrize("name", ["../a.safetensors", "/etc/passwd", "..", "", 3, "a\\b", "a\0b"])
def test_shards_elsewhere_are_not_read(folder, name, refused):
    write(folder, names_in(folder) | {"extra": name})
    refused(folder, "expected shards in its own folder, got")


@pytest.mark.parametrize(("text", "message"), [
    ('{"weight_map": {', "damaged one"),
    ('{"weight_map": {}}', "no weight_map"),
    ('{"hidden_size": 768}', "no weight_map"),
    ('{"abcd":{"a": 1}}', "no weight_map"),
    ("{" + '"a":[' * 100000, "no index of a checkpoint"),
    ("[]", "is no checkpoint"),
])  # fmt: skip
def test_other_json(folder, text, message, refused):
    (folder / INDEX).write_text(text)
    refused(folder, message)


def test_a_shard_that_is_no_safetensors_file(folder, simmim_file, refused):
    shutil.copy(simmim_file, folder / SECOND)
    refused(folder, f"{SECOND} is a damaged or truncated")
    (folder / SECOND).write_bytes((folder / FIRST).read_bytes()[:200])
    refused(folder, f"{SECOND} is a damaged or truncated")


def test_folders_with_no_index_or_two(folder, refused):
    shutil.copy(folder / INDEX, folder / f"other.{INDEX}")
    refused(folder, "found several")
    (folder / "empty").mkdir()
    refused(folder / "empty", "found a folder without")
