"""Weights are read out of TorchScript programs, as OpenAI publishes CLIP, and no code is run."""

import pickle
import re
import warnings
import zipfile

import pytest
import torch
from torch import nn

import backbones
from backbones import files
from tests.backbones.test_backbones_unpickle import Attack
from tests.backbones.towers import SIZES, Tower, check


class Program(nn.Module):
    """An image tower within a module with OpenAI's buffers beside it."""

    def __init__(self, tower):
        super().__init__()
        self.visual = tower
        self.ln_final = nn.LayerNorm(8)
        for name, value in SIZES.items():
            self.register_buffer(name, value)

    def forward(self, images):
        return self.visual(images)[2] @ self.visual.proj


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A traced program in half precision, and its file."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        tower = Tower(clip=True, act="quick_gelu").eval()
        traced = torch.jit.trace(Program(tower), torch.rand(1, 3, 32, 32)).half()
        path = tmp_path_factory.mktemp("script") / "ViT.pt"
        traced.save(path)
    return traced, path


def rewritten(path, target, change, **options):
    """Copy the archive, with the content of each member passed through `change`."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", **options) as new:
        for member in old.infolist():
            content = change(member.filename, old.read(member))
            if content is not None:
                new.writestr(member.filename, content)
    return target


def test_the_state_dict_is_the_programs(program):
    traced, path = program
    found = files.read(path)
    expected = traced.state_dict()
    assert set(found.tensors) == set(expected)
    for name, value in expected.items():
        assert torch.equal(
            found.tensors[name], value.float() if value.is_floating_point() else value
        )
    assert any("float16 read as float32" in note for note in found.notes)


def test_outputs(program):
    backbone = backbones.load(program[1])
    assert backbone.key_report.format == "clip"
    tower = Tower(clip=True, act="quick_gelu").eval()
    tower.load_state_dict(program[0].visual.state_dict())
    check(backbone, tower)


def test_its_code_is_not_needed(program, tmp_path):
    def change(name, content):
        return None if "/code/" in name else content

    path = rewritten(program[1], tmp_path / "a.pt", change)
    assert backbones.load(path).loaded_sha256 == backbones.load(program[1]).loaded_sha256


def test_no_code_runs(program, tmp_path, refused):
    trace = tmp_path / "ran"

    def change(name, content):
        attack = pickle.dumps(Attack(trace), protocol=2)
        return attack if name.endswith("/data.pkl") else content

    refused(rewritten(program[1], tmp_path / "a.pt", change), "system")
    assert not trace.exists()


def test_damaged_programs(program, tmp_path, refused):
    path, target = program[1], tmp_path / "a.pt"

    def shorter(name, content):
        return content[:-2] if name.endswith("/data/0") else content

    def fewer(name, content):
        return None if name.endswith("/data/0") else content

    def outside(name, content):
        # The first tensor's offset into its storage: further than it reaches.
        found = re.search(rb"Qq.K\x00", content, flags=re.DOTALL)
        assert found or not name.endswith("/data.pkl")
        if not name.endswith("/data.pkl"):
            return content
        return content[: found.end() - 1] + b"\xff" + content[found.end() :]

    refused(rewritten(path, target, shorter), "storage 0 of .* bytes, not .* values")
    refused(rewritten(path, target, fewer), "damaged")
    refused(rewritten(path, target, outside), "damaged")
    packed = {"compression": zipfile.ZIP_DEFLATED}
    refused(rewritten(path, target, lambda _, content: content, **packed), "compressed")
    refused(rewritten(path, target, lambda name, _: b"" if "data.pkl" in name else _), "damaged")


def test_a_program_within_itself_is_refused(program, tmp_path, refused):
    """One module at two places: names without end, if it holds itself."""
    # PROTO 2, a module of the program under memo 0, its attribute a: itself, BUILD, STOP.
    within = b"\x80\x02c__torch__\nA\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb."

    def change(name, content):
        return within if name.endswith("/data.pkl") else content

    refused(rewritten(program[1], tmp_path / "a.pt", change), "one module at two places")


class Listing(nn.Module):
    """A module with numbers in a list, and with tensors in whatever is given."""

    def __init__(self, held):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.numbers = [1, 2]
        self.held = held

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize(
    "held",
    [[torch.ones(2)], {"a": torch.ones(2)}, (torch.ones(2), 1)],
    ids=["list", "dict", "tuple"],
)
def test_tensors_that_are_no_parameters_are_refused(held, tmp_path, refused):
    """A state dict does not have them: left out, the file would not be read whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Listing(held)).save(tmp_path / "a.pt")
        torch.jit.script(Listing([1.0])).save(tmp_path / "b.pt")
    refused(tmp_path / "a.pt", "keeps tensors in held")
    assert set(files.read(tmp_path / "b.pt").tensors) == {"layer.weight", "layer.bias"}
