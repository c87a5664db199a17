"""CIFAR and CoG in small: what is pickled in the published files."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tests.tasks.classification.datasets.miniature_files import Miniature, colour, write


class _Python2(pickle._Pickler):  # type: ignore[misc]
    """Writes bytes as Python 2 wrote its text, and numpy's old name, as in the published files."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    def save_bytes(self, content: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(content)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        if getattr(obj, "__name__", "") == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            self.memoize(obj)
        else:
            super().save_global(obj, name)

    dispatch[bytes] = save_bytes


def python2(value: Any) -> bytes:
    """Pickle as Python 2 did, protocol 2."""
    file = io.BytesIO()
    pickler = _Python2(file, protocol=2)
    pickler.dispatch_table = {}
    kind = type(np.array(0).__reduce__()[0])
    pickler.dispatch[kind] = _Python2.save_global
    pickler.dump(value)
    return file.getvalue()


def cifar_rows(labels: Sequence[int], first: int) -> np.ndarray:
    """Rows (N,3072): red, green and blue plane after each other."""
    rows = []
    for number, label in enumerate(labels):
        rng = np.random.default_rng((label, first + number))
        noise = rng.integers(-6, 7, (3, 32, 32))
        rows.append(np.clip(colour(label)[:, None, None] + noise, 0, 255).reshape(-1))
    return np.array(rows, np.uint8)


def cifar(root: Path, classes: int) -> Miniature:
    """CIFAR-10 or CIFAR-100, an image or more of every class in each batch."""
    fine = "" if classes == 10 else "fine_"
    home = root / ("cifar-10-batches-py" if classes == 10 else "cifar-100-python")
    home.mkdir(parents=True)
    names = tuple(f"thing {k}" for k in range(classes))
    splits = (
        {"train": [f"data_batch_{n}" for n in range(1, 6)], "test": ["test_batch"]}
        if classes == 10
        else {"train": ["train"], "test": ["test"]}
    )
    parts: dict[str, list[tuple[str, Any]]] = {"train": [], "test": []}
    first = 0
    for split, batches in splits.items():
        for batch in batches:
            # Of each class two for training, so that one can be held out.
            count = 2 * classes if batch == "train" else classes
            labels = [(7 * k + 3) % classes for k in range(count)]
            content = {
                b"data": cifar_rows(labels, first),
                f"{fine}labels".encode(): labels,
                b"batch_label": batch.encode(),
            }
            (home / batch).write_bytes(python2(content))
            parts[split] += [(f"{batch}/{row}", label) for row, label in enumerate(labels)]
            first += 1000
    key = f"{fine}label_names".encode()
    meta = home / ("batches.meta" if classes == 10 else "meta")
    meta.write_bytes(python2({key: [name.encode() for name in names]}))
    return Miniature(names, parts)


def cog(root: Path, level: int) -> Miniature:
    """All five levels in the lists, the images of one."""
    levels = [[f"n{number}{k:07d}" for k in (3, 1, 2)] for number in range(1, 6)]
    splits: dict[str, Any] = {}
    parts: dict[str, list[tuple[str, Any]]] = {"train": [], "test": []}
    names = sorted(levels[level - 1])
    for concepts in levels:
        for concept in concepts:
            # Neither in order, nor of one type: text of fixed length and objects.
            train = np.array([f"{concept}/{concept}_{i}.JPEG" for i in (5, 3, 4, 1)])
            test = np.array([f"/{concept}/{concept}_{i}.JPEG" for i in (9, 8)], dtype=object)
            splits[concept] = {"train": train, "test": test}
    for k, concept in enumerate(names):
        for split, numbers in (("train", (1, 3, 4, 5)), ("test", (8, 9))):
            for i in numbers:
                file = f"{concept}/{concept}_{i}.JPEG"
                write(root / file, k, i)
                parts[split].append((file, k))
    (root / "cog_levels_mapping_file.pkl").write_bytes(pickle.dumps(levels, protocol=3))
    (root / "cog_concepts_split_file.pkl").write_bytes(pickle.dumps(splits, protocol=4))
    return Miniature(tuple(names), parts)
