"""`harness list backbones`, `show backbone` and `backbone check`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import backbones
from harness.cli.main import call

FIXTURES = Path(__file__).parents[2] / "fixtures" / "checkpoints"
SHIPPED = backbones.catalogue()["simmim_vit_micro"].shipped_path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    yield tmp_path / "checkpoints"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert call(arguments) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert call(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def parsed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(said(capsys, *arguments, "--json"))


def test_list_names_every_encoder_and_who_stands_for_what(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "list", "backbones")
    rows = text.split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows] == list(backbones.catalogue())
    assert "simmim       smoke: simmim_vit_micro" in text
    assert "random       what stands for simmim" in text


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--objective", "contrastive"], {"contrastive_vit_micro", "mocov3_vit_base"}),
        (
            ["--family", "swinv2", "--objective", "supervised"],
            {"swinv2_base_w8", "swinv2_base_w16", "swinv2_base_w12_22k"},
        ),
    ],
)
def test_list_of_some(
    options: list[str], names: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = parsed(capsys, "list", "backbones", *options)
    assert {entry["name"] for entry in found} == names
    text = said(capsys, "list", "backbones", *options)
    assert {line.split()[0] for line in text.splitlines()} == names


def test_list_as_json_has_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    found = {entry.pop("name"): entry for entry in parsed(capsys, "list", "backbones")}
    assert list(found) == list(backbones.catalogue())
    mae = found["mae_vit_base"]
    assert mae["md5_prefix"] == "8cad7c" and mae["sha256"] is None
    assert mae["mean"] == [0.485, 0.456, 0.406] and mae["pool"] == "mean_fc_norm"
    assert "not loaded here" in mae["evidence"]


def test_list_refuses_what_nothing_has(capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "list", "backbones", "--family", "swim")
    assert "no encoder has the family `swim`; there are beit, " in line
    line = refused(capsys, "list", "backbones", "--objective", "sim")
    assert "no encoder has the objective `sim`" in line and "supervised" in line
    line = refused(capsys, "list", "backbones", "--objective", "contrastive", "--family", "swin")
    assert "both the objective `contrastive` and family `swin`" in line


def test_show_tells_all_and_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "show", "backbone", "simmim_swinv2_base")
    for words in (
        "licence     MIT",
        "family      swinv2, layout of the file: simmim_swin",
        "https://huggingface.co/zdaxie/SimMIM/",
        "none published; SHA-256 is recorded when fetched",
        "not published; the server tells it, and fetching shows it before anything comes",
        "this file: not loaded here",
        "not here",
        "simmim_swinv2_base and swinv2_base_w12_22k: transfer",
    ):
        assert words in text, words
    # A path is never broken.
    assert all(len(line) <= 100 or "/" in line for line in text.splitlines())
    rows = [line.split() for line in text.splitlines()]
    assert ["data", "ImageNet-1K", "ImageNet-22K"] in rows
    assert ["input", "size", "192", "256"] in rows


def test_show_says_whether_the_file_is_here(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = parsed(capsys, "show", "backbone", "simmim_vit_micro")
    assert found["here"] and found["path"] == str(SHIPPED)
    assert {"objective": "simmim", "scale": "tiny"} in found["stands_for"]
    found = parsed(capsys, "show", "backbone", "deit_vit_base")
    assert not found["here"] and found["path"] == str(cache / found["file"])
    assert [pair["encoders"][0] for pair in found["pairs"]] == [
        "simmim_vit_base",
        "mocov3_vit_base",
    ]
    assert found["pairs"][0]["differs"]["epochs"] == ["800", "300"]
    cache.mkdir()
    (cache / found["file"]).touch()
    assert parsed(capsys, "show", "backbone", "deit_vit_base")["here"]
    own = cache.parent / "own"
    own.mkdir()
    (own / found["file"]).touch()
    monkeypatch.setenv("HARNESS_WEIGHTS", str(own))
    found = parsed(capsys, "show", "backbone", "deit_vit_base")
    assert found["path"] == str(own / found["file"])


def test_show_refuses_what_is_no_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean mae_vit_base" in refused(capsys, "show", "backbone", "mae_vit_bse")
    assert "depends on the scale" in refused(capsys, "show", "backbone", "simmim")


FILES = {
    "shipped": (SHIPPED, []),
    "mae": (
        FIXTURES / "mae_vit" / "checkpoint.pth",
        ["--set", "backbone.num_heads=3", "--set", "backbone.decoder_num_heads=4"],
    ),
    "swinv2": (FIXTURES / "simmim_swinv2" / "checkpoint.pth", []),
}


@pytest.mark.parametrize("name", FILES)
def test_check_accounts_for_every_tensor_once(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file, options = FILES[name]
    found = parsed(capsys, "backbone", "check", str(file), *options)
    tensors = found["tensors"]
    groups = [*tensors["converted"].values(), *tensors["dropped"].values()]
    told = [*tensors["used"], *(each for names in groups for each in names)]
    assert len(told) == len(set(told)) == tensors["total"]
    if name == "shipped":
        with safe_open(str(file), framework="pt") as there:
            assert set(told) == set(there.keys())
    text = said(capsys, "backbone", "check", str(file), *options)
    *_, accounts = text.partition(f"{tensors['total']} tensors in the file\n")
    counts = [line.split()[0] for line in accounts.splitlines() if line[:7].strip()]
    assert sum(int(count) for count in counts if not count.startswith("+")) == tensors["total"]
    assert max(map(len, text.removeprefix(str(file)).splitlines())) <= 100


def test_check_says_format_sizes_and_what_was_assumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "named_otherwise.bin"
    shutil.copy(FIXTURES / "mae_vit" / "checkpoint.pth", file)
    line = refused(capsys, "backbone", "check", str(file))
    assert "the file does not tell num_heads" in line and "--set backbone.num_heads=3" in line
    options = FILES["mae"][1]
    text = said(capsys, "backbone", "check", str(file), *options)
    found = parsed(capsys, "backbone", "check", str(file), *options)
    arch = found["encoder"]["arch"]
    assert f"  sizes       patch_size={arch['patch_size']}, embed_dim=48, depth=" in text
    assert "num_heads=3" in text and f"  parameters  {found['parameters']:,}" in text
    assert found["tensors"]["format"] == "mae" and f"mae: {found['tensors']['reason']}" in text
    assert "num_heads=3 as given" in found["encoder"]["notes"]
    assert found["maps"] == [{"channels": 48, "stride": arch["patch_size"]}]
    assert "+2  created" in text and "fc_norm.bias, fc_norm.weight" in text
