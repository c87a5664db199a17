"""Files are hostile until shown otherwise: one clear line, and no code of theirs runs."""

import io
import os
import pickle
import random
import re
import sys
import tarfile
import types
import zipfile
from argparse import Namespace
from collections import OrderedDict

import pytest
import torch

import backbones
from backbones import files


class Attack:
    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def refused(path, match, **options):
    with pytest.raises(backbones.LoadError, match=match) as caught:
        backbones.load(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_runs(tmp_path, zipped):
    trace = tmp_path / "ran"
    path = tmp_path / "attack.pth"
    content = {"model": {"a": torch.zeros(1)}, "args": Attack(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused(path, r"asks for (posix|nt)\.system")
    assert not trace.exists()


def test_a_bare_pickle_runs_no_code(tmp_path):
    trace = tmp_path / "ran"
    path = tmp_path / "attack.pkl"
    path.write_bytes(pickle.dumps(Attack(trace), protocol=2))
    refused(path, "asks for|damaged")
    assert not trace.exists()


def test_a_stand_in_does_not_open_a_way(tmp_path):
    """An allowed class whose state carries an attack is refused as a whole."""
    trace = tmp_path / "ran"
    torch.save({"model": {"a": torch.zeros(1)}, "args": Namespace(x=Attack(trace))}, tmp_path / "a")
    refused(f"{tmp_path}/a", "system")
    assert not trace.exists()


def test_published_configuration_objects_are_read(tmp_path, simmim_file, monkeypatch):
    """A yacs node beside the weights, as SimMIM writes it, without yacs being installed."""
    content = dict(torch.load(simmim_file, weights_only=True))
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    module = types.ModuleType("yacs.config")
    module.CfgNode = node
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", module)
        torch.save({**content, "config": node(MODEL=node(NAME="x"))}, tmp_path / "config.pth")
    report = backbones.load(tmp_path / "config.pth").key_report
    assert "config" in report.beside
    assert report.total == 55


def test_legacy_and_safetensors_containers_give_the_same(tmp_path, simmim_file):
    from safetensors.torch import save_file

    content = torch.load(simmim_file, weights_only=True)
    legacy = tmp_path / "legacy.pth"
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    flat = tmp_path / "flat.safetensors"
    save_file({name: value.contiguous() for name, value in content["model"].items()}, flat)
    hashes = {backbones.load(p).loaded_sha256 for p in (simmim_file, legacy, flat)}
    assert len(hashes) == 1


def test_legacy_file_with_configuration_objects(tmp_path, simmim_file):
    content = dict(torch.load(simmim_file, weights_only=True)) | {"args": Namespace(lr=0.1)}
    legacy = tmp_path / "legacy.pth"
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    assert backbones.load(legacy).loaded_sha256 == backbones.load(simmim_file).loaded_sha256


@pytest.mark.parametrize("head", [
    b"<!DOCTYPE html><html>sign in</html>",
    b"\n  <html><body>Virus scan warning</body></html>",
])  # fmt: skip
def test_html_in_disguise(tmp_path, head):
    (tmp_path / "vit.pth").write_bytes(head)
    refused(tmp_path / "vit.pth", "HTML page")


def test_empty_missing_folder_and_other_files(tmp_path):
    (tmp_path / "empty.pth").touch()
    refused(tmp_path / "empty.pth", "is empty")
    refused(tmp_path / "none.pth", "found nothing")
    refused(f"{tmp_path}/", "found a folder")
    (tmp_path / "image.pth").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600))
    refused(tmp_path / "image.pth", "is no checkpoint")


def test_other_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    refused(tmp_path / "text.zip", "zip archive without")
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    refused(tmp_path / "old.tar", "tar archive")


def test_torchscript(tmp_path):
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/data.pkl", b"")
        archive.writestr("script/constants.pkl", b"")
    refused(tmp_path / "script.pt", "TorchScript")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated(tmp_path, simmim_file, kind, share):
    from safetensors.torch import save

    content = torch.load(simmim_file, weights_only=True)
    buffer = io.BytesIO()
    if kind == "safetensors":
        buffer.write(save({name: value.contiguous() for name, value in content["model"].items()}))
    else:
        torch.save(content, buffer, _use_new_zipfile_serialization=kind == "zip")
    data = buffer.getvalue()
    path = tmp_path / "cut.pth"
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "damaged or truncated|tar archive|no checkpoint")


def test_content_without_weights(tmp_path):
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "holds no weights.*epoch, lr")
    torch.save([1, 2], tmp_path / "b.pth")
    refused(tmp_path / "b.pth", "expected a state dict")
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "c.pth")
    refused(tmp_path / "c.pth", r"no known layout.*conv1\.weight")
    torch.save({"model": OrderedDict(a=torch.zeros(1), b=3)}, tmp_path / "d.pth")
    refused(tmp_path / "d.pth", "no tensors: b")


def test_a_legacy_file_cut_anywhere_is_damaged(tmp_path):
    """Cut between two opcodes, torch's reader raises IndexError or struct.error, among others."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    path = tmp_path / "cut.pth"
    for length in range(2, len(data)):
        path.write_bytes(data[:length])
        refused(path, r"cut\.pth is damaged or truncated \(.*copy or download it again")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_behind_the_head_of_a_pickle(tmp_path, seed):
    path = tmp_path / "noise.pth"
    path.write_bytes(b"\x80\x02" + random.Random(seed).randbytes(200))
    refused(path, r"noise\.pth ")


@pytest.mark.parametrize(("content", "shown"), [
    ({0: torch.zeros(2)}, "found 0;"),
    ({("a", 1): torch.zeros(2), "b": torch.zeros(2)}, r"found \('a', 1\);"),
    ({"model": {1: torch.zeros(2), "b": torch.zeros(2)}}, "found 1;"),
])  # fmt: skip
def test_names_that_are_no_text(tmp_path, content, shown):
    torch.save(content, tmp_path / "keys.pth")
    refused(tmp_path / "keys.pth", rf"keys\.pth: .*names of tensors to be text, {shown}.*save")


def test_keys_beside_the_state_dict_may_be_anything(tmp_path, simmim_file):
    content = torch.load(simmim_file, weights_only=True)
    torch.save({**content, 7: "seven"}, tmp_path / "beside.pth")
    assert "7" in backbones.load(tmp_path / "beside.pth").key_report.beside


@pytest.mark.parametrize(("value", "kind"), [
    (torch.eye(3).to_sparse(), "sparse_coo"),
    (torch.zeros(2, device="meta"), "meta"),
    (torch.ones(2, dtype=torch.int64).to_sparse(), "sparse_coo"),
])  # fmt: skip
def test_tensors_that_are_not_dense_are_named(tmp_path, value, kind):
    torch.save({"model": {"a": torch.zeros(1), "b.weight": value}}, tmp_path / "sparse.pth")
    refused(tmp_path / "sparse.pth", rf"expected dense tensors, found b\.weight \({kind}.*convert")


WRONG_AXES = [
    ("simmim", "encoder.patch_embed.proj.weight", (), r"\(width, 3, patch, patch\)"),
    ("simmim", "encoder.patch_embed.proj.weight", (5,), r"\(width, 3, patch, patch\)"),
    ("simmim", "encoder.patch_embed.proj.weight", (48, 3, 0, 0), r"\(width, 3, patch, patch\)"),
    ("simmim", "encoder.blocks.0.mlp.fc1.weight", (), r"\(units, width\)"),
    ("simmim", "encoder.rel_pos_bias.relative_position_bias_table", (124,), r"\(offsets, heads\)"),
    ("simmim", "decoder.0.weight", (), r"\(3 x stride x stride, width, 1, 1\)"),
    ("mae", "patch_embed.proj.weight", (), r"\(width, 3, patch, patch\)"),
    ("mae", "blocks.0.mlp.fc1.weight", (), r"\(units, width\)"),
    ("mae", "pos_embed", (), r"\(1, places, width\)"),
    ("mae", "pos_embed", (37,), r"\(1, places, width\)"),
    ("mae", "decoder_embed.weight", (), r"\(decoder width, width\)"),
    ("mae", "decoder_pos_embed", (37,), r"\(1, places, width\)"),
]


@pytest.mark.parametrize(("kind", "name", "shape", "expected"), WRONG_AXES)
def test_tensors_with_other_axes_are_named(tmp_path, fixtures, kind, name, shape, expected):
    tensors = files.read(fixtures / f"{kind}_vit" / "checkpoint.pth").tensors
    assert name in tensors
    torch.save({**tensors, name: torch.ones(shape)}, tmp_path / "axes.pth")
    found = re.escape(str(shape))
    arch = {"num_heads": 3} if kind == "mae" else None
    message = rf"the file's \S+ has shape {found}, expected {expected}"
    refused(tmp_path / "axes.pth", message, arch=arch)


@pytest.mark.parametrize("shape", [(), (37,), (1, 37), (1, 2, 0)])
def test_an_encoder_alone_with_an_odd_position_table(tmp_path, fixtures, shape):
    """Without a decoder the layout is told by the values of this table."""
    tensors = files.read(fixtures / "mae_vit" / "checkpoint.pth").tensors
    encoder = {name: value for name, value in tensors.items() if not name.startswith("decoder")}
    encoder.pop("mask_token", None)
    torch.save({**encoder, "pos_embed": torch.ones(shape)}, tmp_path / "encoder.pth")
    message = r"pos_embed has shape .*, expected \(1, places, width\)"
    refused(tmp_path / "encoder.pth", message, arch={"num_heads": 3})


@pytest.mark.parametrize(("kind", "name", "axis"), [
    ("simmim", "encoder.rel_pos_bias.relative_position_bias_table", 0),
    ("mae", "pos_embed", 1),
    ("mae", "decoder_pos_embed", 1),
])  # fmt: skip
def test_a_table_of_another_grid_is_not_resized(tmp_path, fixtures, kind, name, axis):
    tensors = files.read(fixtures / f"{kind}_vit" / "checkpoint.pth").tensors
    longer = torch.cat([tensors[name]] * 2, dim=axis)
    torch.save({**tensors, name: longer}, tmp_path / "longer.pth")
    arch = {"num_heads": 3, "decoder_num_heads": 4} if kind == "mae" else {}
    refused(
        tmp_path / "longer.pth",
        "position table has shape .* of a 6x6 grid",
        input_size=64,
        arch={"image_size": 48, **arch},
        keep=("decoder",),
    )
