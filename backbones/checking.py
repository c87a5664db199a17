"""What a checkpoint file is taken for, and why: `harness backbone check FILE`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backbones import fetch, files
from backbones.arguments import as_fields
from backbones.contract import Backbone, BackboneSpec, FeatureInfo
from backbones.download import Progress
from backbones.entries import outside
from backbones.files import Checkpoint
from backbones.keys import KeyReport
from backbones.loading import load, of_checkpoint


@dataclass(frozen=True)
class Checked:
    """What a checkpoint was recognised as, and what became of its tensors.

    Attributes:
        path: the file; None for an encoder of another package, which has its own ways.
        container: how it is written, as `files.read` says; None likewise.
        wrapper: the top-level key under which the state dict lies, None at the top level.
        stripped: whether the prefix `module.` was taken off all names.
        spec: what the encoder is; its notes are what was assumed.
        report: the account of the tensors.
        input_size: (height, width) in pixels.
        maps: channels and stride of each map, finest first.
        parameters: their number in the encoder, without decoder and classifier.
    """

    path: Path | None
    container: str | None
    wrapper: str | None
    stripped: bool
    spec: BackboneSpec
    report: KeyReport
    input_size: tuple[int, int]
    maps: tuple[FeatureInfo, ...]
    parameters: int

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON knows it, each tensor of the file by its name."""
        return {
            "file": None if self.path is None else str(self.path),
            "container": self.container,
            "wrapper": self.wrapper,
            "stripped": self.stripped,
            "encoder": asdict(self.spec),
            "input_size": list(self.input_size),
            "maps": [info._asdict() for info in self.maps],
            "parameters": self.parameters,
            "tensors": {**self.report.as_dict(), "used": list(self.report.used)},
        }


def check(
    path: str | Path,
    arch: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Load a file with every part dropped that can be, and describe what was recognised.

    Args:
        path: of the file, or a name, that of another package's encoder among them.
        arch: what the file does not tell, as `load` takes it.
        progress: told of a download, as `load` does.

    Raises:
        LoadError: it cannot be loaded.
    """
    if outside(str(path)):
        return _checked(load(path, arch=arch), None, None)
    located = fetch.locate(str(path), progress)
    checkpoint = files.read(located.path, located.fingerprint)
    backbone = of_checkpoint(located, checkpoint, arch=as_fields(arch))
    return _checked(backbone, located.path, checkpoint)


def _checked(backbone: Backbone, path: Path | None, checkpoint: Checkpoint | None) -> Checked:
    return Checked(
        path=path,
        container=checkpoint.container if checkpoint else None,
        wrapper=checkpoint.wrapper if checkpoint else None,
        stripped=checkpoint.stripped if checkpoint else False,
        spec=backbone.spec,
        report=backbone.key_report,
        input_size=backbone.input_size,
        maps=tuple(backbone.feature_info),
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
    )
