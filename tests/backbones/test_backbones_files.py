"""Files are hostile until shown otherwise: one clear line, and no code of theirs runs."""

import io
import json
import random
import re
import tarfile
import zipfile
from collections import OrderedDict

import pytest
import torch

import backbones
from backbones import files


def test_legacy_and_safetensors_containers_give_the_same(tmp_path, simmim_file):
    from safetensors.torch import save_file

    content = torch.load(simmim_file, weights_only=True)
    legacy = tmp_path / "legacy.pth"
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    flat = tmp_path / "flat.safetensors"
    save_file({name: value.contiguous() for name, value in content["model"].items()}, flat)
    hashes = {backbones.load(p).loaded_sha256 for p in (simmim_file, legacy, flat)}
    assert len(hashes) == 1


@pytest.mark.parametrize("head", [
    b"<!DOCTYPE html><html>sign in</html>",
    b"\n  <html><body>Virus scan warning</body></html>",
])  # fmt: skip
def test_html_in_disguise(tmp_path, head, refused):
    (tmp_path / "vit.pth").write_bytes(head)
    refused(tmp_path / "vit.pth", "HTML page")


def test_empty_missing_folder_and_other_files(tmp_path, refused):
    (tmp_path / "empty.pth").touch()
    refused(tmp_path / "empty.pth", "is empty")
    refused(tmp_path / "none.pth", "found nothing")
    refused(f"{tmp_path}/", "found a folder without")
    (tmp_path / "image.pth").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600))
    refused(tmp_path / "image.pth", "is no checkpoint")


def test_other_archives(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "text.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    refused(tmp_path / "text.zip", "zip archive without")
    with tarfile.open(tmp_path / "old.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    refused(tmp_path / "old.tar", "tar archive")


def test_an_empty_torchscript_program(tmp_path, refused):
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("script/data.pkl", b"")
        archive.writestr("script/constants.pkl", b"")
    refused(tmp_path / "script.pt", "damaged")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated(tmp_path, simmim_file, kind, share, refused):
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


def test_content_without_weights(tmp_path, refused):
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "holds no weights.*epoch, lr")
    torch.save([1, 2], tmp_path / "b.pth")
    refused(tmp_path / "b.pth", "expected a state dict")
    torch.save({"conv1.weight": torch.zeros(2)}, tmp_path / "c.pth")
    refused(tmp_path / "c.pth", r"no known layout.*conv1\.weight")
    torch.save({"model": OrderedDict(a=torch.zeros(1), b=3)}, tmp_path / "d.pth")
    refused(tmp_path / "d.pth", "no tensors: b")


def test_a_legacy_file_cut_anywhere_is_damaged(tmp_path, refused):
    """Cut between two opcodes, torch's reader raises IndexError or struct.error, among others."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, buffer, _use_new_zipfile_serialization=False)
    data = buffer.getvalue()
    path = tmp_path / "cut.pth"
    for length in range(2, len(data)):
        path.write_bytes(data[:length])
        # Within the name of a class, what is left of it is not known.
        refused(path, r"cut\.pth (is damaged or truncated \(.*copy or download it again|asks for)")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_behind_the_head_of_a_pickle(tmp_path, seed, refused):
    path = tmp_path / "noise.pth"
    path.write_bytes(b"\x80\x02" + random.Random(seed).randbytes(200))
    refused(path, r"noise\.pth ")


@pytest.mark.parametrize(("content", "shown"), [
    ({0: torch.zeros(2)}, "found 0;"),
    ({("a", 1): torch.zeros(2), "b": torch.zeros(2)}, r"found \('a', 1\);"),
    ({"model": {1: torch.zeros(2), "b": torch.zeros(2)}}, "found 1;"),
])  # fmt: skip
def test_names_that_are_no_text(tmp_path, content, shown, refused):
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
def test_tensors_that_are_not_dense_are_named(tmp_path, value, kind, refused):
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
def test_tensors_with_other_axes_are_named(
    tmp_path, fixtures, kind, name, shape, expected, refused
):
    tensors = files.read(fixtures / f"{kind}_vit" / "checkpoint.pth").tensors
    assert name in tensors
    torch.save({**tensors, name: torch.ones(shape)}, tmp_path / "axes.pth")
    found = re.escape(str(shape))
    arch = {"num_heads": 3} if kind == "mae" else None
    message = rf"the file's \S+ has shape {found}, expected {expected}"
    refused(tmp_path / "axes.pth", message, arch=arch)


@pytest.mark.parametrize("shape", [(), (37,), (1, 37), (1, 2, 0)])
def test_an_encoder_alone_with_an_odd_position_table(tmp_path, fixtures, shape, refused):
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
def test_a_table_of_another_grid_is_not_resized(tmp_path, fixtures, kind, name, axis, refused):
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


def test_a_flipped_bit_in_a_torch_zip(tmp_path, simmim_file, refused):
    data = bytearray(simmim_file.read_bytes())
    value = torch.load(simmim_file, weights_only=True)["model"]["encoder.norm.weight"]
    data[data.index(value.numpy().tobytes())] ^= 1
    (tmp_path / "flipped.pth").write_bytes(data)
    refused(tmp_path / "flipped.pth", "is damaged or truncated .*CRC.*copy or download it again")


def test_a_torch_zip_without_checksums(tmp_path, simmim_file):
    content = torch.load(simmim_file, weights_only=True)
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content, tmp_path / "plain.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    with zipfile.ZipFile(tmp_path / "plain.pth") as archive:
        assert not any(member.CRC for member in archive.infolist())
    assert backbones.load(tmp_path / "plain.pth").key_report.total == 55


def safetensors(path, header, body, length=0):
    """Write a file by hand, its header padded to a length."""
    text = json.dumps(header).encode().ljust(length)
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_a_header_as_long_as_a_pickle_begins(tmp_path, version):
    path = tmp_path / "long.safetensors"
    header = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    safetensors(path, header, bytes(4), length=0x80 + (version << 8) + (1 << 16))
    assert path.read_bytes()[:2] == bytes([0x80, version])
    assert files.read(path).container == "safetensors"


@pytest.mark.parametrize("known", [True, False])
def test_tensors_of_a_packed_type(tmp_path, monkeypatch, known, refused):
    """Older versions of torch do not have it at all."""
    if not known:
        monkeypatch.delattr(torch, "float4_e2m1fn_x2", raising=False)
    header = {"a.weight": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}
    safetensors(tmp_path / "packed.safetensors", header, bytes(1))
    refused(tmp_path / "packed.safetensors", r"packed\.safetensors.*float4.*save it as float32")


@pytest.mark.parametrize(("name", "message"), [
    ("{}/" + "a" * 300 + ".pth", "cannot be read: File name too long"),
    ("a" * 300, "unknown encoder"),
])  # fmt: skip
def test_names_that_are_too_long_for_a_file(tmp_path, name, message, refused):
    refused(name.format(tmp_path), message)
