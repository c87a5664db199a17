"""What every encoder can do.

Shapes: B images, C channels, H x W input pixels, h x w cells of a map, p the patch size.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from backbones.droppath import SampleKeys
from backbones.errors import LoadError
from backbones.keys import KeyReport
from backbones.layer_rules import no_decay_names

Output = Literal["forward", "encode", "pooled", "logits", "masked"]


class FeatureInfo(NamedTuple):
    """Channels of a map, and the input pixels that one of its cells stands for."""

    channels: int
    stride: int


class Masked(NamedTuple):
    """What `Backbone.masked` gives.

    Attributes:
        features: the normed map (B,C,h,w); MAE: the normed class token and the kept tokens in
            raster order (B,1+kept,C); Hiera: see `HieraBackbone.masked`.
        reconstruction: (B,3,H,W), in the checkpoint's own normalised pixels (or, for an MAE trained
            on them, per-patch normalised ones), as its decoder gives it. Where the objective has
            no pixels, what the file predicts of each cell: BEiT: scores of visual tokens
            (B,vocabulary,h,w); EVA-02: features of its teacher (B,features,h,w); iBOT, DINOv2 and
            DINOv3: nothing (B,0,h,w).
    """

    features: Tensor
    reconstruction: Tensor


@dataclass(frozen=True)
class BackboneSpec:
    """What an encoder is and where it comes from.

    Attributes:
        name: as in the catalogue, or the file's name.
        family: the architecture's family, a name in `backbones.families`.
        objective: what it was pre-trained for; "unknown" where nothing tells, "none" if untrained.
        sha256: hash of the checkpoint file; None if it came from no file.
        licence: terms of the weights.
        data: what it was pre-trained on.
        mean, std: of the input's red, green and blue in [0,1].
        evidence: measurements that came with the encoder, or None.
        arch: everything that is needed to build it again.
        notes: what the file does not say, and which rule supplied it.
        package: who offers it, as `mycnn 0.1.0`; None for encoders that this package builds.
    """

    name: str
    family: str
    objective: str
    sha256: str | None
    licence: str
    data: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    evidence: dict[str, Any] | None
    arch: dict[str, Any]
    notes: tuple[str, ...] = ()
    package: str | None = None


@dataclass(frozen=True)
class AttentionMap:
    """The attention of one block.

    Attributes:
        block: number of the block, from 0.
        stage: number of its stage, 0 for encoders without stages.
        probabilities: (B,heads,Q,K), rows sum to 1.
        query_positions, key_positions: (Q,2) and (K,2), centres of the patches as (x,y) in input
            pixels; on the input's edge for padded patches whose centre lies beyond it, NaN for
            tokens without a place.
    """

    block: int
    stage: int
    probabilities: Tensor
    query_positions: Tensor
    key_positions: Tensor


@dataclass(frozen=True)
class WindowAttention:
    """The attention of one block, window by window: all that its tokens may look at, no more.

    W windows, one where every token may attend to every other.

    Attributes:
        block, stage: as in AttentionMap.
        probabilities: (B,W,heads,Q,K) as the network has them, rows sum to 1.
        query_positions, key_positions: (W,Q,2) and (W,K,2), as in AttentionMap.
        allowed: (W,Q,K), whether a query may attend to a key. False for padding, as query and as
            key, and for pairs that only rolling made neighbours: they may have weight all the same.
        prefix: the number of tokens without a place that come first in each window, as queries and
            as keys: class token and registers.
    """

    block: int
    stage: int
    probabilities: Tensor
    query_positions: Tensor
    key_positions: Tensor
    allowed: Tensor
    prefix: int


@dataclass
class _State:
    """What is set once, after construction."""

    loaded_sha256: str = ""
    sample_keys: SampleKeys = field(default_factory=SampleKeys)


class Backbone(nn.Module, ABC):
    """An encoder. Images are float RGB (B,3,H,W), [0,1] in normal use; it normalises them itself.

    Parameters of the encoder proper are named `encoder.*`; beside it there may be `fc_norm.*` (used
    by `pooled` alone), `decoder.*` and `head.*` (after `keep`).

    Attributes:
        spec: what it is.
        feature_info: of each map that `forward` gives, finest first.
        key_report: what became of every tensor of the file.
        input_size: (H,W) that it takes.
        loaded_sha256: `parameters_sha256` as loaded or last initialised.
        kept: tensors of a task's own network that the file holds too, by their names there, if
            `load` was told to keep them.
    """

    spec: BackboneSpec
    feature_info: tuple[FeatureInfo, ...]
    key_report: KeyReport
    input_size: tuple[int, int]
    mean: Tensor
    std: Tensor
    kept: dict[str, Tensor]

    def __init__(self, spec: BackboneSpec, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.spec = spec
        self.input_size = input_size
        self.key_report = KeyReport.of_nothing()
        self.kept = {}
        self._state = _State()
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps (B,C_i,H/s_i,W/s_i) of `feature_info`."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Return the last map (B,C,h,w) after the file's final norm, without prefix tokens."""

    @abstractmethod
    def pooled(self, images: Tensor) -> Tensor:
        """Return (B,C): what the authors' fine-tuning code gives its classifier."""

    @property
    def pooled_width(self) -> int:
        """The numbers in what `pooled` gives of an image: in most encoders the last map's
        channels."""
        return self.feature_info[-1].channels

    @abstractmethod
    def blocks(self, images: Tensor) -> list[Tensor]:
        """Return the tokens (B,P+N,C) after every block, before the final norm, prefix first."""

    @abstractmethod
    def attention(self, images: Tensor) -> Iterator[AttentionMap]:
        """Yield the attention of one block after another.

        Raises:
            LoadError: it has none; already when called.
        """

    def attention_in_windows(self, images: Tensor) -> Iterator[WindowAttention]:
        """Yield what `attention` does, window by window, and which pairs are allowed.

        Here all is one window, and keys without a place that come after those with one are padding.

        Raises:
            LoadError: it has no attention; already when called.
        """
        return (one_window(found) for found in self.attention(images))

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Return (B,classes) of the file's classifier.

        Raises:
            LoadError: it was not loaded with keep=("head",).
        """

    @abstractmethod
    def masked(self, images: Tensor, mask: Tensor) -> Masked:
        """Encode what `mask` leaves and reconstruct the image; gradients flow.

        Args:
            images: (B,3,H,W).
            mask: (B,H/p,W/p) bool, True = hidden.

        Raises:
            LoadError: it was not loaded with keep=("decoder",).
            ValueError: a mask of another type or shape.
        """

    @abstractmethod
    def layer_ids(self, rule: str | None = None) -> dict[str, int]:
        """Return parameter name -> layer number, for layer-wise decay of the learning rate.

        The factor of a parameter is decay ** (last_layer - number).

        Args:
            rule: a name in `backbones.RULES`; None for the family's usual fine-tuning.
        """

    @property
    @abstractmethod
    def last_layer(self) -> int:
        """The layer number of what comes after the blocks, a task's head included."""

    def last_layer_of(self, rule: str | None) -> int:
        """Return `last_layer` under a rule that may number the layers in its own way."""
        return self.last_layer

    def arch_as_run(self) -> dict[str, Any]:
        """Return `spec.arch` for a file: its tables are those of the size that it runs at."""
        return {**self.spec.arch, "image_size": list(self.input_size)}

    def arch_for(self, size: tuple[int, int]) -> dict[str, Any]:
        """Return the architecture by which the tables at hand are brought to another input size:
        `spec.arch`, but for the size that they are of."""
        return self.arch_as_run()

    @abstractmethod
    def unused_names(self, output: Output) -> set[str]:
        """Return the parameters that `output` does not depend on: they get no gradient from it."""

    @abstractmethod
    def initialise(self, seed: int) -> None:
        """Draw every parameter anew by the family's published initialisation.

        The draws come from a generator of their own; torch's global one is left alone.
        """

    def no_decay_names(self, rule: str | None = None) -> set[str]:
        """Return the parameters that the rule exempts from weight decay."""
        return no_decay_names(((n, p.ndim) for n, p in self.named_parameters()), rule)

    def set_sample_keys(self, keys: Tensor | None) -> None:
        """Tie drop path to samples: (B,) int64, for the coming batch; None unties it."""
        self._state.sample_keys.values = keys

    @property
    def sample_keys(self) -> Tensor | None:
        """What `set_sample_keys` was given last."""
        return self._state.sample_keys.values

    def parameters_sha256(self) -> str:
        """Return the hash of the encoder's parameters, and of what it keeps of former batches, such
        as running means: name, shape and float32 bytes, by name."""
        digest = hashlib.sha256()
        for name, stored in sorted(self.state_dict().items()):
            if name.startswith("encoder.") and stored.is_floating_point():
                value = stored.float().cpu().contiguous()
                digest.update(f"{name}{tuple(value.shape)}".encode())
                digest.update(value.numpy().tobytes())
        return digest.hexdigest()

    @property
    def loaded_sha256(self) -> str:
        """`parameters_sha256` at the end of loading: what a trainer must find at step 0."""
        return self._state.loaded_sha256

    def seal(self) -> None:
        """Remember the parameters as they are now as the loaded ones."""
        self._state.loaded_sha256 = self.parameters_sha256()

    def normalised(self, images: Tensor) -> Tensor:
        """Return (images - mean) / std, after checking the shape (B,3,H,W).

        Raises:
            ValueError: images of another size than `input_size`.
        """
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, *self.input_size):
            height, width = self.input_size
            raise ValueError(
                f"expected images of shape (B, 3, {height}, {width}), got {tuple(images.shape)}; "
                "another size is chosen when the encoder is loaded (input_size)"
            )
        return (images - self.mean) / self.std

    def missing(self, part: str) -> LoadError:
        """Return the error that says that `part` was not kept."""
        return LoadError(
            f"{self.spec.name} was loaded without its {part}; load it with keep=({part!r},)"
        )

    def without_attention(self) -> LoadError:
        """Return the error that says that there is no attention to look at."""
        return LoadError(
            f"{self.spec.name} is a {self.spec.family}, which has no attention to look at; take an "
            "encoder of another family, or look at its features"
        )


def one_window(found: AttentionMap) -> WindowAttention:
    """Return attention of every token to every other as one window, keys without a place that come
    after those with one being padding."""
    queries, keys = found.query_positions, found.key_positions
    placed = ~keys.isnan().any(dim=1)
    prefix = int(placed.int().argmax())
    real = placed.clone()
    real[:prefix] = True
    return WindowAttention(
        found.block,
        found.stage,
        found.probabilities.unsqueeze(1),
        queries.unsqueeze(0),
        keys.unsqueeze(0),
        real.expand(1, len(queries), -1),
        prefix,
    )
