"""Randomness that belongs to samples."""

import torch

from backbones.randomness import uniform

M64 = (1 << 64) - 1


def reference(key: int, stream: int) -> float:
    """The same in Python's whole numbers, which never overflow."""

    def mix(z: int) -> int:
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    first = mix((key + golden) & M64)
    return (mix((first + golden * (stream + 1)) & M64) >> 40) / 2**24


def test_equal_to_whole_numbers():
    keys = [0, 1, 2, 12345, 2**62, 2**63 - 1, -1, -(2**63)]
    ours = uniform(torch.tensor(keys), 7).tolist()
    assert ours == [reference(key & M64, 7) for key in keys]


def test_uniform_and_unrelated_between_keys_and_streams():
    keys = torch.arange(50000)
    draws = torch.stack([uniform(keys, stream) for stream in range(4)])
    assert draws.min() >= 0 and draws.max() < 1
    # 5 standard deviations of a mean of 50,000 uniform draws, and of a correlation.
    assert ((draws.mean(dim=1) - 0.5).abs() < 5 * (1 / 12 / 50000) ** 0.5).all()
    off = torch.corrcoef(draws) - torch.eye(4)
    assert off.abs().max() < 5 / 50000**0.5
    neighbours = torch.corrcoef(torch.stack([draws[0, :-1], draws[0, 1:]]))[0, 1]
    assert abs(neighbours) < 5 / 50000**0.5
