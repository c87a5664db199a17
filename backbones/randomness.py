"""Random numbers that are a function of a sample, not of the order in which samples come."""

from __future__ import annotations

from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def uniform(keys: Tensor, stream: int) -> Tensor:
    """Return one number in [0,1) per key, (B,) float32; equal on every device.

    The keys go through the finaliser of SplitMix64 (Steele, Lea and Flood, 2014) twice, the second
    time displaced by `stream`, so that neighbouring keys and streams give unrelated numbers.

    Args:
        keys: (B,) int64.
        stream: which of the many independent numbers of a key.
    """
    hashed = _mix(_mix(keys + _signed(_GOLDEN)) + _signed(_GOLDEN * (stream + 1)))
    return _shift(hashed, 40).float() * 2.0**-24


def _mix(z: Tensor) -> Tensor:
    # int64 products wrap around in torch, which is what the algorithm asks of unsigned ones.
    z = (z ^ _shift(z, 30)) * _signed(_MIX_1)
    z = (z ^ _shift(z, 27)) * _signed(_MIX_2)
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift repeats the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >= 1 << 63 else value
