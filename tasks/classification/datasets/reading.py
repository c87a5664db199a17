"""Reading an official data set and holding it against what was published of it."""

from __future__ import annotations

from importlib import import_module
from itertools import combinations
from pathlib import Path

import numpy as np

from tasks.classification.datasets.catalogue import PUBLICATIONS
from tasks.classification.datasets.contract import Official, Part, Publication
from tasks.classification.datasets.layout import MissingError
from tasks.contract import DataError


def home(publication: Publication, root: Path) -> Path:
    """Where a data set's files are: in a folder of its name, where the root holds several, else in
    the root itself."""
    own = root / publication.name
    return own if own.is_dir() else root


def read(name: str, root: Path, partial: bool = False) -> Official:
    """Read a data set of the catalogue.

    Args:
        name: of the catalogue.
        root: its folder, or one that holds it under its name.
        partial: take fewer images and classes than were published, such as a part of the data set
            for trying things out.

    Raises:
        DataError: files are missing (the message has the layout and where to get it), damaged, or
            are not those that were published.
    """
    publication = PUBLICATIONS[name]
    if not root.is_dir():
        raise MissingError(f"there is no folder `{root}`; {how_to_get(publication)}")
    module, _, function = publication.reader.partition(":")
    try:
        official: Official = getattr(import_module(module), function)(home(publication, root))
    except MissingError as error:
        raise MissingError(f"{publication.title}: {error}; {how_to_get(publication)}") from None
    except OSError as error:
        raise DataError(f"{publication.title}: cannot read {error.filename}: {error}") from None
    _consistent(official, publication)
    if not partial:
        _complete(official, publication)
    return official


def how_to_get(publication: Publication) -> str:
    """The layout and where the files come from, for messages."""
    packed = " ".join(archive.name for archive in publication.archives)
    unpacked = (
        f"; archives ({packed}) in it are unpacked by `harness data prepare {publication.name} "
        "--data-root DIR`"
        if packed
        else ""
    )
    return (
        f"expected below the data root: {publication.layout}; get it: {publication.source}"
        f"{unpacked}"
    )


def parts(official: Official) -> dict[str, Part]:
    """The parts that there are, by their names."""
    found = {"train": official.train, "val": official.val, "test": official.test}
    return {name: part for name, part in found.items() if part is not None}


def _consistent(official: Official, publication: Publication) -> None:
    """What holds for any part of the data set, too."""
    title, classes = publication.title, len(official.class_names)
    if len(set(official.class_names)) != classes:
        raise DataError(f"{title}: two classes have the same name")
    for name, part in parts(official).items():
        if len(part.images) != len(part.labels):
            raise DataError(
                f"{title}: {len(part.images)} images, {len(part.labels)} labels in {name}"
            )
    without = set(range(classes)) - set(_shown(official.train).tolist())
    if without:
        raise DataError(
            f"{title}: the class `{official.class_names[min(without)]}` has no training image, as "
            f"{len(without)} of {classes} classes"
        )
    for name, part in parts(official).items():
        if part.labels.ndim == 1 and not np.isin(part.labels, range(classes)).all():
            raise DataError(f"{title}: {name} has labels outside of 0 to {classes - 1}")
    names = {
        name: [part.images.name(row) for row in range(len(part.images))]
        for name, part in parts(official).items()
    }
    for name, listed in names.items():
        if len(set(listed)) != len(listed):
            raise DataError(f"{title}: {name} lists an image twice")
    for one, other in combinations(names, 2):
        shared = sorted(set(names[one]) & set(names[other]))
        if shared:
            raise DataError(
                f"{title}: `{shared[0]}` is in both {one} and {other}, as {len(shared)} images are"
            )


def _complete(official: Official, publication: Publication) -> None:
    """Compare counts with the published ones."""
    expected = dict(zip(("train", "val", "test"), publication.counts, strict=True))
    found = {name: len(part.images) for name, part in parts(official).items()}
    for name, count in expected.items():
        if count is not None and found.get(name) != count:
            raise DataError(
                f"{publication.title}: expected {count} images in {name}, found "
                f"{found.get(name, 0)}; the copy is incomplete or of another release (for a part "
                "of it on purpose: --set data.partial=true)"
            )
    classes = len(official.class_names)
    if classes != publication.classes:
        raise DataError(
            f"{publication.title}: expected {publication.classes} classes, found {classes}; the "
            "copy is incomplete or of another release (for a part of it on purpose: --set "
            "data.partial=true)"
        )
    if publication.each is not None:
        least, most = publication.each
        counts = np.bincount(_shown(official.train), minlength=classes)
        for label in np.flatnonzero((counts < least) | (counts > most)).tolist():
            said = str(least) if least == most else f"{least} to {most}"
            raise DataError(
                f"{publication.title}: expected {said} training images of "
                f"`{official.class_names[label]}`, found {counts[label]}; the copy is incomplete "
                "or its splits are others"
            )


def _shown(part: Part) -> np.ndarray:
    """The class of every label, several an image where there are several."""
    return part.labels if part.labels.ndim == 1 else np.nonzero(part.labels == 1)[1]
