"""An encoder that two processes train at two sizes: parameters are used twice in a step."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import backbones
from backbones import at_size

ARCH = {"embed_dim": 24, "depth": 2, "num_heads": 3, "patch_size": 8, "block_tables": True}


class Both(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = backbones.create("beit", ARCH, 64, 0)
        self.second = at_size(self.backbone, 48)

    def forward(self, large: Tensor, small: Tensor) -> Tensor:
        return self.backbone.encode(large).square().mean() + self.second.encode(small).abs().mean()


def images(size: int) -> Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(size))


def trained(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    model = DistributedDataParallel(Both(), find_unused_parameters=True)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(images(64)[rank : rank + 1], images(48)[rank : rank + 1]).backward()
        optimiser.step()
    torch.save(model.module.state_dict(), f"{folder}/{rank}.pth")
    dist.destroy_process_group()


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    mp.spawn(trained, (str(tmp_path),), nprocs=2)
    model = Both()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        model(images(64), images(48)).backward()
        optimiser.step()
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pth", weights_only=True)
        for name, value in model.state_dict().items():
            assert torch.allclose(found[name], value, atol=1e-6), name
