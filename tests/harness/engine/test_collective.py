"""Several processes act as one. Each test compares two gloo processes with the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from harness.engine.collective import gather, sum_over_processes, with_global_statistics


def _network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))
    return net.double()


def _batch() -> torch.Tensor:
    return torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()


def _process(rank: int, folder: str) -> None:
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    net = _network()
    with_global_statistics(net)
    x = _batch()[rank::2]
    out = net(x)
    count = sum_over_processes(torch.tensor(float(len(x)), dtype=torch.float64))
    (out.square().sum() * 2 / count).backward()
    for parameter in net.parameters():
        dist.all_reduce(parameter.grad)
        parameter.grad /= 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = _network().float()
        with_global_statistics(half)
        low = half(_batch()[rank::2].float())
    rows = gather([{"sample": i} for i in range(rank, 7, 2)])
    torch.save(
        {
            "out": out.detach(),
            "gradients": [p.grad for p in net.parameters()],
            "buffers": list(net.buffers()),
            "low": low.detach(),
            "low_buffers": list(half.buffers()),
            "rows": rows,
        },
        f"{folder}/{rank}.pt",
    )
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("gloo")
    mp.spawn(_process, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_batch_statistics_and_gradients_are_those_of_the_whole_batch(
    halves: list[dict[str, Any]],
) -> None:
    net, x = _network(), _batch()
    out = net(x)
    (out.square().sum() / len(x)).backward()
    for rank, half in enumerate(halves):
        # float64: what is left is the order of sums.
        torch.testing.assert_close(half["out"], out[rank::2].detach(), rtol=1e-10, atol=1e-12)
        for got, parameter in zip(half["gradients"], net.parameters(), strict=True):
            torch.testing.assert_close(got, parameter.grad, rtol=1e-9, atol=1e-12)
        for got, buffer in zip(half["buffers"], net.buffers(), strict=True):
            torch.testing.assert_close(got, buffer, rtol=1e-10, atol=1e-12)


def test_half_precision_has_exact_statistics(halves: list[dict[str, Any]]) -> None:
    net, x = _network().float(), _batch().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = net(x)
    for rank, half in enumerate(halves):
        assert half["low"].dtype == torch.bfloat16
        # bfloat16 has 8 bits: outputs agree to some of its steps.
        torch.testing.assert_close(half["low"], out[rank::2].detach(), rtol=0.05, atol=0.05)
        for got, buffer in zip(half["low_buffers"], net.buffers(), strict=True):
            # The statistics are float32 on both sides, of activations in bfloat16.
            torch.testing.assert_close(got, buffer, rtol=1e-3, atol=1e-4)


def test_rows_are_gathered_once_on_the_first_process(halves: list[dict[str, Any]]) -> None:
    assert sorted(row["sample"] for row in halves[0]["rows"]) == list(range(7))
    assert halves[1]["rows"] == []
