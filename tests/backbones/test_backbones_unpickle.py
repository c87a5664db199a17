"""Configuration objects beside the weights are read, and no code of a file ever runs."""

import io
import os
import pickle
import sys
import types
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

import backbones
from backbones.unpickle import _load


class Attack:
    def __init__(self, trace):
        self.trace = str(trace)

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_no_code_runs(tmp_path, zipped, refused):
    trace = tmp_path / "ran"
    path = tmp_path / "attack.pth"
    content = {"model": {"a": torch.zeros(1)}, "args": Attack(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    refused(path, r"asks for (posix|nt)\.system")
    assert not trace.exists()


def test_a_file_cannot_alter_torch(tmp_path, refused):
    before = torch._utils._rebuild_tensor_v2.__defaults__
    function = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n"
    harmful = function + b"N}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b."
    path = tmp_path / "attack.pkl"
    path.write_bytes(harmful)
    refused(path, "sets the state of|damaged")
    with pytest.raises(backbones.LoadError, match="sets the state of"):
        _load(io.BytesIO(harmful))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before


def test_a_bare_pickle_runs_no_code(tmp_path, refused):
    trace = tmp_path / "ran"
    path = tmp_path / "attack.pkl"
    path.write_bytes(pickle.dumps(Attack(trace), protocol=2))
    refused(path, "asks for|damaged")
    assert not trace.exists()


def test_a_stand_in_does_not_open_a_way(tmp_path, refused):
    """An allowed class whose state carries an attack is refused as a whole."""
    trace = tmp_path / "ran"
    torch.save({"model": {"a": torch.zeros(1)}, "args": Namespace(x=Attack(trace))}, tmp_path / "a")
    refused(f"{tmp_path}/a", "system")
    assert not trace.exists()


def with_keys(node):
    """Give a node what yacs keeps in its state, beside the items."""
    node.__dict__["__deprecated_keys__"] = {"OLD"}
    node.__dict__["__renamed_keys__"] = {}
    return node


@pytest.mark.parametrize("protocol", [2, 5])
def test_published_configuration_objects_are_read(tmp_path, simmim_file, monkeypatch, protocol):
    """A yacs node beside the weights, as SimMIM writes it, without yacs being installed."""
    path = tmp_path / "config.pth"
    content = dict(torch.load(simmim_file, weights_only=True))
    node = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    module = types.ModuleType("yacs.config")
    module.CfgNode = node
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
        patch.setitem(sys.modules, "yacs.config", module)
        config = with_keys(node(MODEL=with_keys(node(NAME="x"))))
        torch.save({**content, "config": config}, path, pickle_protocol=protocol)
    report = backbones.load(path).key_report
    assert "config" in report.beside
    assert report.total == 55


def test_legacy_file_with_configuration_objects(tmp_path, simmim_file):
    content = dict(torch.load(simmim_file, weights_only=True)) | {"args": Namespace(lr=0.1)}
    legacy = tmp_path / "legacy.pth"
    torch.save(content, legacy, _use_new_zipfile_serialization=False)
    assert backbones.load(legacy).loaded_sha256 == backbones.load(simmim_file).loaded_sha256


VALUES = {
    "set": {1, 2},
    "frozenset": frozenset({1, 2}),
    "set of paths": {Path("a"), Path("b")},
    "array": np.arange(3.0),
    "empty array": np.zeros(0),
    "array of text": np.array(["a"]),
    "scalar": np.float64(1),
    "scalar as key": {np.int64(1): 1},
    "type of numbers": np.dtype("float32"),
    "bytes": b"a",
}


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_in_configuration_objects(tmp_path, simmim_file, value, protocol):
    content = dict(torch.load(simmim_file, weights_only=True)) | {"args": Namespace(value=value)}
    torch.save(content, tmp_path / "values.pth", pickle_protocol=protocol)
    assert backbones.load(tmp_path / "values.pth").key_report.total == 55


def test_arrays_of_older_numpy(tmp_path, simmim_file):
    """Its module was named `core`, which numpy 2 renamed."""
    content = dict(torch.load(simmim_file, weights_only=True)) | {"args": Namespace(x=np.ones(2))}
    path = tmp_path / "old.pth"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert b"numpy._core.multiarray" in data
    path.write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert backbones.load(path).key_report.total == 55


@pytest.mark.parametrize("value", [np.arange(3.0), {1, 2}], ids=["array", "set"])
def test_what_is_no_tensor_is_no_weight(tmp_path, simmim_file, value, refused):
    state = dict(torch.load(simmim_file, weights_only=True)["model"])
    torch.save({"model": {**state, "encoder.cls_token": value}}, tmp_path / "other.pth")
    refused(tmp_path / "other.pth", r"no tensors: encoder\.cls_token")
