"""Every official layout in small: a few images of a few classes, each its class's colour.

`make(name, root)` writes one below `root` and returns what a reader has to find there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tasks.classification.datasets import voc2007
from tests.tasks.classification.datasets.miniature_files import (
    SIZE,
    Miniature,
    write,
    write_lines,
)
from tests.tasks.classification.datasets.miniature_pickles import cifar, cog


def make(name: str, root: Path) -> Miniature:
    """Write the data set `name` of the catalogue in its official layout below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    if name.startswith("cog-l"):
        return cog(root, int(name[-1]))
    return _MAKERS[name](root)


def _food101(root: Path) -> Miniature:
    names = ("apple_pie", "sushi", "waffles")
    parts: dict[str, list[tuple[str, Any]]] = {}
    for split, count in (("train", 4), ("test", 2)):
        pairs = [
            (f"{name}/{1000 + i}{split[1]}", k)
            for k, name in enumerate(names)
            for i in range(count)
        ]
        for number, (file, label) in enumerate(pairs):
            write(root / f"food-101/images/{file}.jpg", label, number + 50 * (split == "test"))
        write_lines(root / f"food-101/meta/{split}.txt", [file for file, _ in pairs])
        parts[split] = [(f"images/{file}.jpg", label) for file, label in pairs]
    write_lines(root / "food-101/meta/classes.txt", names)
    return Miniature(names, parts)


def _cub200(root: Path) -> Miniature:
    home, names = root / "CUB_200_2011", ("Black_footed_Albatross", "Laysan_Albatross")
    parts: dict[str, list[tuple[str, Any]]] = {"train": [], "test": []}
    files, labels, sides = [], [], []
    for k, name in enumerate(names):
        for i in range(5):
            file = f"{k + 1:03d}.{name}/{name}_{i:04d}_{i}.jpg"
            write(home / "images" / file, k, i)
            files.append(file)
            labels.append(k)
            sides.append(i % 2 == 0)
            parts["train" if i % 2 == 0 else "test"].append((f"images/{file}", k))
    write_lines(home / "classes.txt", [f"{k + 1} {k + 1:03d}.{n}" for k, n in enumerate(names)])
    write_lines(home / "images.txt", [f"{i} {file}" for i, file in enumerate(files, 1)])
    write_lines(home / "image_class_labels.txt", [f"{i} {k + 1}" for i, k in enumerate(labels, 1)])
    write_lines(home / "train_test_split.txt", [f"{i} {int(s)}" for i, s in enumerate(sides, 1)])
    return Miniature(names, parts)


def _sun397(root: Path) -> Miniature:
    home = root / "SUN397"
    paths = ("/a/abbey", "/a/apartment_building/outdoor", "/b/bakery/shop")
    parts: dict[str, list[tuple[str, Any]]] = {}
    for split, word, count in (("train", "Training", 3), ("test", "Testing", 2)):
        # Not in the order of the classes.
        pairs = [
            (f"{path}/sun_{split}{i}.jpg", k) for i in range(count) for k, path in enumerate(paths)
        ]
        for number, (file, label) in enumerate(pairs):
            write(home / file.lstrip("/"), label, number + 50 * (split == "test"))
        write_lines(home / f"{word}_01.txt", [file for file, _ in pairs])
        parts[split] = [(file.lstrip("/"), label) for file, label in pairs]
    write_lines(home / "ClassName.txt", paths)
    return Miniature(("abbey", "apartment_building/outdoor", "bakery/shop"), parts)


def _cars(root: Path) -> Miniature:
    names = ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "Aston Martin V8 2012")
    fields = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class")
    kind = [(field, object) for field in (*fields, "fname")]
    parts: dict[str, list[tuple[str, Any]]] = {}
    (root / "devkit").mkdir()
    for split, labels in (("train", [2, 0, 1, 1, 0, 2]), ("test", [1, 2, 0])):
        found = np.zeros((1, len(labels)), dtype=kind)
        parts[split] = []
        for row, label in enumerate(labels):
            file = f"cars_{split}/{row + 1:05d}.jpg"
            write(root / file, label, row + 50 * (split == "test"))
            values = (3, 4, 40, 30, label + 1)
            numbers = [np.array([[value]], np.uint8) for value in values]
            found[0, row] = (*numbers, f"{row + 1:05d}.jpg")
            parts[split].append((file, label))
        path = {"train": "devkit/cars_train_annos.mat", "test": "cars_test_annos_withlabels.mat"}
        savemat(root / path[split], {"annotations": found})
    savemat(root / "devkit/cars_meta.mat", {"class_names": np.array([names], dtype=object)})
    return Miniature(names, parts)


def _aircraft(root: Path) -> Miniature:
    home, names = root / "fgvc-aircraft-2013b/data", ("707-320", "Cessna 172", "F/A-18")
    parts: dict[str, list[tuple[str, Any]]] = {}
    for place, (split, count) in enumerate((("train", 3), ("val", 2), ("test", 2))):
        pairs = [(f"{place}{k}{i:03d}", k) for i in range(count) for k in range(len(names))]
        for number, (image, label) in enumerate(pairs):
            write(home / f"images/{image}.jpg", label, number + 50 * place)
        write_lines(
            home / f"images_variant_{split}.txt", [f"{image} {names[k]}" for image, k in pairs]
        )
        parts[split] = [(f"images/{image}.jpg", label) for image, label in pairs]
    write_lines(home / "variants.txt", names)
    return Miniature(names, parts)


def _voc2007(root: Path) -> Miniature:
    home, count = root / "VOCdevkit/VOC2007", len(voc2007.CLASSES)
    parts: dict[str, list[tuple[str, Any]]] = {}
    for place, split in enumerate(("train", "val", "test")):
        signs = np.full((count, count), -1)
        parts[split] = []
        for row in range(count):
            signs[row, row] = signs[row, (row + 1) % count] = 1
            signs[row, (row + 7) % count] = 0
            image = f"{place * 100 + row:06d}"
            write(home / f"JPEGImages/{image}.jpg", row, place)
            parts[split].append((f"JPEGImages/{image}.jpg", signs[row].tolist()))
        images = [Path(name).stem for name, _ in parts[split]]
        write_lines(home / f"ImageSets/Main/{split}.txt", images)
        for label, name in enumerate(voc2007.CLASSES):
            write_lines(
                home / f"ImageSets/Main/{name}_{split}.txt",
                [f"{image} {signs[row, label]:2d}" for row, image in enumerate(images)],
            )
    return Miniature(voc2007.CLASSES, parts)


def _dtd(root: Path) -> Miniature:
    names = ("banded", "blotchy", "zigzagged")
    parts: dict[str, list[tuple[str, Any]]] = {}
    for place, split in enumerate(("train", "val", "test")):
        pairs = [
            (f"{name}/{name}_{place}{i:03d}.jpg", k) for k, name in enumerate(names) for i in (1, 2)
        ]
        for number, (file, label) in enumerate(pairs):
            write(root / "dtd/images" / file, label, number + 50 * place)
        write_lines(root / f"dtd/labels/{split}1.txt", [file for file, _ in pairs])
        parts[split] = [(f"images/{file}", label) for file, label in pairs]
    return Miniature(names, parts)


def _pets(root: Path) -> Miniature:
    names = ("Abyssinian", "american_bulldog", "Bengal")
    parts: dict[str, list[tuple[str, Any]]] = {}
    for split, count in (("train", 3), ("test", 2)):
        pairs = [
            (f"{name}_{i + 100 * (split == 'test')}", k)
            for k, name in enumerate(names)
            for i in range(count)
        ]
        for number, (image, label) in enumerate(pairs):
            # As some of the published files are: of another kind than the name says.
            kind = {1: "PNG", 2: "GIF"}.get(number, "JPEG")
            write(root / f"images/{image}.jpg", label, number + 50 * (split == "test"), kind)
        word = "trainval" if split == "train" else "test"
        write_lines(
            root / f"annotations/{word}.txt",
            [f"{image} {k + 1} {1 + k % 2} 1" for image, k in pairs],
        )
        parts[split] = [(f"images/{image}.jpg", label) for image, label in pairs]
    write_lines(root / "annotations/list.txt", ["#Image CLASS-ID SPECIES BREED ID"])
    return Miniature(("Abyssinian", "american bulldog", "Bengal"), parts)


CALTECH_COUNTS = {"BACKGROUND_Google": 2, "Faces": 33, "accordion": 32}


def _caltech101(root: Path) -> Miniature:
    """The split is no part of the layout, so `parts` has all images under `all`."""
    home, names = root / "101_ObjectCategories", ("Faces", "accordion")
    listed: list[tuple[str, Any]] = []
    for name, count in CALTECH_COUNTS.items():
        for i in range(1, count + 1):
            label = names.index(name) if name in names else 9
            write(home / name / f"image_{i:04d}.jpg", label, i)
            if name in names:
                listed.append((f"{name}/image_{i:04d}.jpg", label))
    (home / "BACKGROUND_Google/tmp").write_bytes(b"")
    return Miniature(names, {"all": listed})


def _flowers102(root: Path) -> Miniature:
    labels = [0, 1, 2] * 6
    order = {"train": [4, 2, 3], "val": [7, 5, 6], "test": [1, *range(8, 19)]}
    parts = {
        split: [(f"jpg/image_{image:05d}.jpg", labels[image - 1]) for image in images]
        for split, images in order.items()
    }
    for image, label in enumerate(labels, 1):
        write(root / f"jpg/image_{image:05d}.jpg", label, image)
    savemat(root / "imagelabels.mat", {"labels": np.array([labels], np.uint8) + 1})
    names = {"train": "trnid", "val": "valid", "test": "tstid"}
    ids = {names[split]: np.array([images], np.uint16) for split, images in order.items()}
    savemat(root / "setid.mat", ids)
    return Miniature(("1", "2", "3"), parts)


def _imagenet(root: Path) -> Miniature:
    names = ("n01440764", "n01443537", "n02084071")
    parts: dict[str, list[tuple[str, Any]]] = {"train": [], "test": []}
    for split, folder, count in (("train", "train", 4), ("test", "val", 2)):
        for k, name in enumerate(names):
            for i in range(count):
                file = f"{folder}/{name}/{name}_{i}.JPEG"
                write(root / file, k, i + 50 * (split == "test"))
                parts[split].append((file, k))
    return Miniature(names, parts)


def _inat2018(root: Path) -> Miniature:
    names = ("Quercus alba", "Turdus merula", "Amanita muscaria")
    groups = ("Plantae", "Aves", "Fungi")
    categories = [
        {"id": k, "name": name, "supercategory": groups[k]}
        for k, name in reversed(list(enumerate(names)))
    ]
    parts: dict[str, list[tuple[str, Any]]] = {}
    for split, word, labels in (("train", "train", [2, 0, 1, 1, 0, 2]), ("test", "val", [1, 0, 2])):
        images, annotations, parts[split] = [], [], []
        for row, label in enumerate(labels):
            image = row + 500 * (split == "test")
            file = f"train_val2018/{groups[label]}/{label}/{image:032x}.jpg"
            write(root / file, label, image)
            images.append({"id": image, "file_name": file, "width": SIZE[1], "height": SIZE[0]})
            annotations.append({"id": image + 1, "image_id": image, "category_id": label})
            parts[split].append((file, label))
        content = {"images": images, "annotations": annotations[::-1], "categories": categories}
        (root / f"{word}2018.json").write_text(json.dumps(content), encoding="utf-8")
    return Miniature(names, parts)


_MAKERS: dict[str, Callable[[Path], Miniature]] = {
    "food101": _food101,
    "cifar10": lambda root: cifar(root, 10),
    "cifar100": lambda root: cifar(root, 100),
    "cub200": _cub200,
    "sun397": _sun397,
    "cars": _cars,
    "aircraft": _aircraft,
    "voc2007": _voc2007,
    "dtd": _dtd,
    "pets": _pets,
    "caltech101": _caltech101,
    "flowers102": _flowers102,
    "imagenet": _imagenet,
    "inat2018": _inat2018,
}
