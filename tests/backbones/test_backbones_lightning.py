"""Lightning checkpoints: the encoder under its prefix equals the one that lies bare."""

import lightning
import pytest
import torch

import backbones

HEADS = {"num_heads": 2}
MARK = "pytorch-lightning_version"
LAYOUTS = {
    "simmim_vit": {},
    "mae_vit": {"num_heads": 3},
    "beit_pretrain": {},
    "deit": HEADS,
    "dino": HEADS,
    "dinov2": HEADS,
    "moco_v3": HEADS,
}


def state_of(path):
    content = torch.load(path, weights_only=False)
    for key in ("model", "state_dict"):
        content = content.get(key, content)
    return {name.removeprefix("module."): value for name, value in content.items()}


def wrapped(path, state, prefix="", more=None):
    tensors = {prefix + name: value for name, value in state.items()} | (more or {})
    content = {"epoch": 3, MARK: "2.6.6", "state_dict": tensors, "hyper_parameters": {"lr": 0.1}}
    torch.save(content, path)
    return path


@pytest.fixture
def stray():
    """What a LightningModule has beside its encoder."""
    return {
        "head.weight": torch.ones(3, 4),
        "criterion.scale": torch.ones(1),
        "steps": torch.ones(1),
    }


@pytest.mark.parametrize("prefix", ["model.", "net.", "backbone.", "my_model._orig_mod.vit."])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_under_a_prefix(layout, prefix, published, tmp_path, stray):
    path, arch = published(layout)[0], LAYOUTS[layout]
    bare = backbones.load(path, arch=arch)
    file = wrapped(tmp_path / "last.ckpt", state_of(path), prefix, stray)
    backbone = backbones.load(file, arch=arch)
    assert backbone.parameters_sha256() == bare.parameters_sha256()
    report = backbone.key_report
    assert report.format == "lightning"
    assert report.dropped[f"modules of Lightning's beside {prefix}*"] == tuple(stray)
    assert report.total == bare.key_report.total + len(stray)
    assert all(name.startswith(prefix) for name in report.used)
    assert any(f"prefix {prefix} taken off" in note for note in backbone.spec.notes)


def test_other_outputs_of_the_layout_inside(published, pixels, close, tmp_path):
    path, outputs = published("beit_pretrain")
    file = wrapped(tmp_path / "last.ckpt", state_of(path), "model.")
    backbone = backbones.load(file, keep=("decoder",))
    images = pixels(backbone, outputs["image"])
    features, _ = backbone.masked(images, outputs["mask"].bool().view(1, 6, 6))
    assert close(features, backbone.as_map(outputs["masked_tokens_norm"]))
    assert close(torch.stack(backbone.blocks(images)), outputs["block_outputs"])


def test_a_file_of_lightnings_own(published, tmp_path):
    """As its trainer writes it, the encoder an attribute of a module."""
    state = state_of(published("dinov2")[0])

    class Probe(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.save_hyperparameters({"lr": 0.1})
            self.encoder = torch.nn.Module()
            self.head = torch.nn.Linear(4, 2)

    module = Probe()
    for name, value in state.items():
        inner = module.encoder
        *parents, leaf = name.split(".")
        for parent in parents:
            if not hasattr(inner, parent):
                inner.add_module(parent, torch.nn.Module())
            inner = getattr(inner, parent)
        inner.register_parameter(leaf, torch.nn.Parameter(value))
    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False
    )
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "own.ckpt")
    backbone = backbones.load(tmp_path / "own.ckpt", arch=HEADS)
    bare = backbones.load(published("dinov2")[0], arch=HEADS)
    assert backbone.parameters_sha256() == bare.parameters_sha256()
    rule = "modules of Lightning's beside encoder.*"
    assert backbone.key_report.dropped[rule] == ("head.weight", "head.bias")


def test_two_encoders_are_refused(published, tmp_path, refused):
    state = state_of(published("dino")[0])
    more = {f"teacher.backbone.{name}": value for name, value in state.items()}
    file = wrapped(tmp_path / "two.ckpt", state, "student.backbone.", more)
    message = r"found 2, under student\.backbone\., teacher\.backbone\.; save"
    refused(file, message, arch=HEADS)
    refused(file, "expected one encoder", arch=HEADS | {"format": "lightning"})


def test_a_layout_as_it_stands_goes_first(published, tmp_path):
    path = published("simmim_vit")[0]
    file = wrapped(tmp_path / "bare.ckpt", state_of(path))
    assert backbones.load(file).key_report.format == "simmim"


def test_without_lightnings_mark_nothing_is_dropped(published, tmp_path, refused, stray):
    file = wrapped(tmp_path / "a.ckpt", state_of(published("deit")[0]), "model.", stray)
    content = torch.load(file, weights_only=True)
    del content[MARK]
    torch.save(content, tmp_path / "b.pth")
    refused(tmp_path / "b.pth", "no known layout", arch=HEADS)


def test_damage_within_is_refused(published, tmp_path, refused):
    state = state_of(published("deit")[0])
    lost = {name: value for name, value in state.items() if name != "blocks.1.norm1.bias"}
    refused(wrapped(tmp_path / "a.ckpt", lost, "model."), r"blocks\.1\.norm1\.bias", arch=HEADS)
    more = {**state, "surprise": torch.ones(2)}
    refused(wrapped(tmp_path / "b.ckpt", more, "model."), "surprise", arch=HEADS)
    nothing = wrapped(tmp_path / "c.ckpt", {"conv.weight": torch.ones(2)}, "model.")
    refused(nothing, "no known layout")
    refused(nothing, "found none", arch={"format": "lightning"})


def test_the_rule_for_other_sizes_is_asked_for(published, tmp_path, refused):
    file = wrapped(tmp_path / "a.ckpt", state_of(published("dino")[0]), "model.")
    refused(file, "position_resize", arch=HEADS, input_size=(40, 64))
