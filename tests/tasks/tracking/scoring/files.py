"""The reference evaluators' inputs and outputs, as they are stored."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.tracking.scoring.tracks import Track

REDUCED = Path(__file__).parents[3] / "fixtures/metrics"
WHOLE = Path(__file__).parents[5] / "shared/fixtures/metrics"


class Fixture(NamedTuple):
    """What one reference was given, and what it gave."""

    sequences: dict[str, Any]
    boxes: dict[str, NDArray[np.float64]]
    expected: Any
    arrays: dict[str, NDArray[Any]]

    def tracks(self, names: Iterable[str], prediction: str = "prediction") -> list[Track]:
        return [self.track(name, prediction) for name in names]

    def track(self, name: str, prediction: str = "prediction") -> Track:
        given = self.sequences[name]
        found = self.boxes if prediction == "prediction" else self.arrays
        visible = None
        if "out_of_view" in given:
            visible = ~(flags(given["full_occlusion"]) | flags(given["out_of_view"]))
        return Track(
            name,
            self.boxes[f"truth/{name}"].copy(),
            found[f"{prediction}/{name}"].copy(),
            tuple(given["image"]),
            flags(given["absence"]) if "absence" in given else None,
            np.array(given["cover"]) if "cover" in given else None,
            visible,
        )


def flags(values: list[int]) -> NDArray[np.bool_]:
    return np.array(values, bool)


@cache
def stored(name: str, folder: Path = REDUCED) -> Fixture:
    """`tracking_<name>`; of pytracking the arrays are a part, to keep the repository small."""
    here = folder / f"tracking_{name}"
    sequences = json.loads((here / "sequences.json").read_text())
    return Fixture(
        {each["name"]: each for each in sequences},
        dict(np.load(here / "boxes.npz")),
        numbers(json.loads((here / "expected.json").read_text())),
        dict(np.load(here / "expected.npz")),
    )


def numbers(value: Any) -> Any:
    """Words such as `nan` as the numbers that they stand for."""
    if isinstance(value, dict):
        return {key: numbers(inner) for key, inner in value.items()}
    return float(value) if value in ("nan", "inf", "-inf") else value


def same(found: Any, expected: Any, relative: float = 0.0) -> None:
    """Equal but for rounding, NaN where NaN is."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=relative, atol=1e-9)
