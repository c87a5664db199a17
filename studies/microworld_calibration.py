"""How hard is microworld? A small convolutional net from scratch for each annotation.

Trained on the training split, measured on the selection split, beside the best prediction without
looking. Prints one row of a Markdown table for each annotation, and with --write puts it into
docs/microworld.md. One core, some minutes an annotation:

    python studies/microworld_calibration.py [--only pose depth ...] [--write]
"""

import argparse
import contextlib
import io
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from tasks.microworld import DETECTION_CLASSES, VIDEO_FRAMES, WORLD_VERSION, Microworld

TRAIN, SELECTION, BATCH, STRIDE, SIDE = 1500, 300, 32, 4, 128
PAGE = Path(__file__).parents[1] / "docs" / "microworld.md"
Row = tuple[str, str, str]


def block(inside: int, outside: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class Classifier(nn.Module):
    """Four strided convolutions at half resolution; the place in the image is kept."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(block(3, 32), block(32, 64), block(64, 128), block(128, 192, 1))
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.2), nn.Linear(192 * 16, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(F.avg_pool2d(x, 2)))


class Maps(nn.Module):
    """A small pyramid: maps of a quarter of the side, seeing all of the image."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(block(3, 24), block(24, 48))
        self.middle = block(48, 96)
        self.coarse = nn.Sequential(block(96, 128), block(128, 128), block(128, 128, 1))
        self.up_coarse, self.up_middle = block(128 + 96, 96, 1), block(96 + 48, 64, 1)
        self.out = nn.Conv2d(64, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        middle = self.middle(fine)
        up = F.interpolate(self.coarse(middle), scale_factor=4.0)
        up = F.interpolate(self.up_coarse(torch.cat([up, middle], 1)), scale_factor=2.0)
        return self.out(self.up_middle(torch.cat([up, fine], 1)))


class Siamese(nn.Module):
    """The template's mean feature weights the search features; centre map and log box sides."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(block(3, 32), block(32, 64), block(64, 96), block(96, 96, 1))
        self.head = nn.Sequential(block(192, 96, 1), block(96, 96, 1), nn.Conv2d(96, 3, 1))

    def forward(self, template: Tensor, search: Tensor) -> Tensor:
        kernel = self.trunk(template).mean((2, 3), keepdim=True)
        features = self.trunk(search)
        return self.head(torch.cat([features, features * kernel], 1))


def as_input(images: np.ndarray) -> Tensor:
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25


def fit(model: nn.Module, loss: Any, samples: int, visits: int, rate: float = 2e-3) -> None:
    """Train on random batches; `loss(indices)` gives the mean loss of a batch."""
    steps = visits // BATCH
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    model.train()
    for _ in range(steps):
        value = loss(torch.randint(samples, (BATCH,)).numpy())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    model.eval()


@torch.inference_mode()
def predict(model: nn.Module, images: np.ndarray) -> Tensor:
    return torch.cat([model(as_input(images[i : i + 64])) for i in range(0, len(images), 64)])


def load(split: Any, count: int, kind: Any) -> tuple[Microworld, np.ndarray]:
    world = Microworld(split, count, kind)
    world.prepare()
    return world, np.stack([world.image(i) for i in range(count)])


def classification(kind: str) -> Row:
    train, images = load("training", TRAIN, kind)
    selection, unseen = load("selection", SELECTION, kind)
    labels, truth = train.labels(), selection.labels()
    model = Classifier(len(train.class_names))

    def loss(chosen: np.ndarray) -> Tensor:
        x = as_input(images[chosen])
        x = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, x, x.flip(3))
        return F.cross_entropy(model(x), torch.from_numpy(labels[chosen]))

    fit(model, loss, TRAIN, 8000)
    found = predict(model, unseen).argmax(1).numpy()
    chance = np.bincount(truth).max() / len(truth)
    return "accuracy", f"{(found == truth).mean():.3f}", f"{chance:.3f}"


def depth() -> Row:
    train, images = load("training", TRAIN, "scene")
    selection, unseen = load("selection", SELECTION, "scene")
    logs = np.log(np.stack([train.depth(i) for i in range(TRAIN)]))
    truth = torch.from_numpy(np.stack([selection.depth(i) for i in range(SELECTION)]))
    model = Maps(1)
    middle = slice(STRIDE // 2, None, STRIDE)
    start = float(logs.mean())

    def loss(chosen: np.ndarray) -> Tensor:
        target = torch.from_numpy(logs[chosen][:, middle, middle])
        return (model(as_input(images[chosen]))[:, 0] + start - target).abs().mean()

    fit(model, loss, TRAIN, 8000)
    found = F.interpolate(predict(model, unseen) + start, size=SIDE, mode="bilinear")[:, 0].exp()

    def measure(guess: Tensor) -> str:
        ratio = torch.maximum(guess / truth, truth / guess)
        absolute = ((guess - truth).abs() / truth).mean()
        return f"{(ratio < 1.25).float().mean():.3f} / {absolute:.3f}"

    constant = torch.from_numpy(np.exp(logs.mean(0)))
    return "d1 / AbsRel", measure(found), measure(constant.expand_as(truth))


def coco_ap(truth: dict[str, Any], found: list[dict[str, Any]], kind: str) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def person_crops(world: Microworld) -> tuple[list[dict[str, Any]], np.ndarray, np.ndarray]:
    """COCO entries, crops (N, SIDE, SIDE, 3), and per crop (x, y, image pixels per crop pixel)."""
    import cv2

    entries = [a for a in world.to_coco_keypoints()["annotations"] if a["num_keypoints"]]
    crops, frames = [], []
    for entry in entries:
        x, y, w, h = entry["bbox"]
        scale = 1.25 * max(w, h) / SIDE
        x0, y0 = x + (w - 1) / 2 - scale * (SIDE - 1) / 2, y + (h - 1) / 2 - scale * (SIDE - 1) / 2
        back = np.array([[scale, 0, x0], [0, scale, y0]])
        image = world.image(entry["image_id"])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crops.append(cv2.warpAffine(image, back, (SIDE, SIDE), flags=flags))
        frames.append((x0, y0, scale))
    return entries, np.stack(crops), np.array(frames)


def pose() -> Row:
    entries, crops, frames = person_crops(load("training", TRAIN, "scene")[0])
    selection = load("selection", SELECTION, "scene")[0]
    unseen, views, places = person_crops(selection)
    truth = selection.to_coco_keypoints()
    points = np.array([e["keypoints"] for e in entries], dtype=np.float32).reshape(-1, 17, 3)
    points[..., :2] = (points[..., :2] - frames[:, None, :2]) / frames[:, None, 2:]
    cells = torch.arange(SIDE // STRIDE) * STRIDE + (STRIDE - 1) / 2
    model = Maps(17)

    def loss(chosen: np.ndarray) -> Tensor:
        at = torch.from_numpy(points[chosen])
        gx, gy = (torch.exp(-((cells - at[..., n : n + 1]) ** 2) / (2 * 6.0**2)) for n in (0, 1))
        target = (gy[..., :, None] * gx[..., None, :]).flatten(2)
        target = target / (target.sum(-1, keepdim=True) + 1e-9)
        terms = -(target * model(as_input(crops[chosen])).flatten(2).log_softmax(-1)).sum(-1)
        known = (at[..., 2] > 0).float()
        return (terms * known).sum() / known.sum()

    fit(model, loss, len(crops), 7000)
    share = predict(model, views).flatten(2).softmax(-1).unflatten(2, (32, 32))
    peak = share.flatten(2).argmax(-1)
    steps = torch.arange(32)
    near = (steps[:, None] - peak[..., None, None] // 32).abs() <= 2
    near = near & ((steps - peak[..., None, None] % 32).abs() <= 2)
    local = share * near
    local = local / local.sum((2, 3), keepdim=True)
    x, y = (local.sum(2) * cells).sum(-1), (local.sum(3) * cells).sum(-1)
    found = torch.stack([x, y], -1).numpy()

    def results(crop_points: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
        at = crop_points * places[:, None, 2:] + places[:, None, :2]
        return [
            {
                "image_id": entry["image_id"],
                "category_id": 1,
                "keypoints": np.c_[xy, np.ones(17)].ravel().tolist(),
                "score": float(score),
            }
            for entry, xy, score in zip(unseen, at, scores, strict=True)
        ]

    known = points[..., 2:] > 0
    mean = (points[..., :2] * known).sum(0) / known.sum(0)
    scores = share.flatten(2).amax(-1).mean(1).numpy()
    learned = coco_ap(truth, results(found, scores), "keypoints")
    constant = results(np.broadcast_to(mean, found.shape), np.ones(len(found)))
    blind = coco_ap(truth, constant, "keypoints")
    return "AP / AP50", f"{learned[0]:.3f} / {learned[1]:.3f}", f"{blind[0]:.3f} / {blind[1]:.3f}"


def detection() -> Row:
    train, images = load("training", TRAIN, "scene")
    selection, unseen = load("selection", SELECTION, "scene")
    truth, classes = selection.to_coco_instances(), len(DETECTION_CLASSES)
    cells = SIDE // STRIDE
    heat = np.zeros((TRAIN, classes, cells, cells), np.float32)
    sides = np.zeros((TRAIN, 5, cells, cells), np.float32)
    rows, columns = np.mgrid[0:cells, 0:cells]
    for entry in train.to_coco_instances()["annotations"]:
        x, y, w, h = entry["bbox"]
        cx, cy = (x + w / 2) / STRIDE, (y + h / 2) / STRIDE
        i, j = min(int(cy), cells - 1), min(int(cx), cells - 1)
        spread = 2 * (max(1.0, 0.08 * max(w, h) / STRIDE)) ** 2
        bump = np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / spread).astype(np.float32)
        place = heat[entry["image_id"], entry["category_id"] - 1]
        np.maximum(place, bump, out=place)
        sides[entry["image_id"], :, i, j] = np.log(w), np.log(h), cx - j, cy - i, 1
    model = Maps(classes + 4)
    nn.init.constant_(model.out.bias[:classes], -4.0)

    def loss(chosen: np.ndarray) -> Tensor:
        out, goal = model(as_input(images[chosen])), torch.from_numpy(heat[chosen])
        box, logits = torch.from_numpy(sides[chosen]), out[:, :classes]
        p = logits.sigmoid()
        # The focal loss of CenterNet (arXiv 1904.07850, equation 1).
        hit, miss = F.logsigmoid(logits) * (1 - p) ** 2, F.logsigmoid(-logits) * p**2
        focal = -torch.where(goal == 1, hit, miss * (1 - goal) ** 4).sum()
        shape = ((out[:, classes:] - box[:, :4]).abs() * box[:, 4:]).sum()
        return (focal + shape) / box[:, 4].sum()

    fit(model, loss, TRAIN, 12000)
    out = predict(model, unseen)
    score = out[:, :classes].sigmoid()
    score = score * (score == F.max_pool2d(score, 3, 1, 1))
    found = []
    for index in range(SELECTION):
        best, place = score[index].flatten().topk(40)
        for value, number in zip(best.tolist(), place.tolist(), strict=True):
            category, (i, j) = number // cells**2, divmod(number % cells**2, cells)
            w, h, dx, dy = out[index, classes:, i, j].tolist()
            w, h, cx, cy = np.exp(w), np.exp(h), (j + dx) * STRIDE, (i + dy) * STRIDE
            box = [float(v) for v in (cx - w / 2, cy - h / 2, w, h)]
            found.append(
                {"image_id": index, "category_id": category + 1, "bbox": box, "score": value}
            )
    persons = [a["bbox"] for a in train.to_coco_instances()["annotations"] if a["category_id"] == 1]
    middle = [float(v) for v in np.median(persons, axis=0)]
    blind = [
        {"image_id": n, "category_id": 1, "bbox": middle, "score": 1.0} for n in range(SELECTION)
    ]
    learned, constant = coco_ap(truth, found, "bbox"), coco_ap(truth, blind, "bbox")
    learned, constant = ([f"{v:.3f}" for v in s[:2]] for s in (learned, constant))
    return "AP / AP50", " / ".join(learned), " / ".join(constant)


def square(image: np.ndarray, x: float, y: float, side: float, pixels: int) -> np.ndarray:
    import cv2

    scale = side / pixels
    back = np.array(
        [[scale, 0, x - side / 2 + scale / 2 - 0.5], [0, scale, y - side / 2 + scale / 2 - 0.5]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, back, (pixels, pixels), flags=flags)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    both = float(np.prod(np.maximum(high - low, 0)))
    return both / float(a[2] * a[3] + b[2] * b[3] - both)


def tracking() -> Row:
    around, pixels, cells = 3.0, 96, 12
    sets = [Microworld(s, n, "video") for s, n in (("training", 120), ("selection", 40))]
    for world in sets:
        world.prepare()
    train, selection = sets

    def boxes_of(world: Microworld, video: int) -> list[np.ndarray | None]:
        items = [world.annotations(video, f).target_item for f in range(VIDEO_FRAMES)]
        return [None if i is None else np.array(i.full_box, dtype=float) for i in items]

    known = [boxes_of(train, v) for v in range(len(train))]
    rng, model = np.random.default_rng(0), Siamese()

    def patch(world: Microworld, video: int, frame: int, box: np.ndarray, search: bool) -> Any:
        side = (around if search else 1.4) * max(box[2:])
        x, y = box[:2] + box[2:] / 2
        return square(world.image(video, frame), x, y, side, pixels if search else 48)

    def loss(chosen: np.ndarray) -> Tensor:
        templates, searches, places, sides = [], [], [], []
        for video in chosen:
            frames = [f for f, box in enumerate(known[video]) if box is not None]
            first, second = frames[0], int(rng.choice(frames))
            start, box = known[video][first], known[video][second]
            assert start is not None and box is not None
            shift = rng.uniform(-0.35, 0.35, 2) * max(box[2:]) * around / 2
            grown = box[2:] * np.exp(rng.uniform(-0.2, 0.2))
            guess = np.r_[box[:2] + box[2:] / 2 + shift - grown / 2, grown]
            templates.append(patch(train, video, first, start, False))
            searches.append(patch(train, video, second, guess, True))
            cell = (0.5 - shift / (around * max(grown))) * cells
            j, i = np.clip(cell.astype(int), 0, cells - 1)
            places.append(i * cells + j)
            sides.append(np.log(box[2:] / max(grown)))
        out = model(as_input(np.stack(templates)), as_input(np.stack(searches))).flatten(2)
        place = torch.tensor(places)
        log_sides = out[:, 1:].gather(2, place[:, None, None].expand(-1, 2, 1))[..., 0]
        target = torch.tensor(np.stack(sides), dtype=torch.float32)
        return F.cross_entropy(out[:, 0], place) + 2 * (log_sides - target).abs().mean()

    fit(model, loss, len(train), 8000)
    truth = [boxes_of(selection, v) for v in range(len(selection))]
    starts = [b[0] for b in truth]
    templates = as_input(np.stack([patch(selection, v, 0, b, False) for v, b in enumerate(starts)]))
    current = [np.array(box) for box in starts]
    learned, blind = [], []
    for frame in range(1, VIDEO_FRAMES):
        views = [patch(selection, v, frame, box, True) for v, box in enumerate(current)]
        with torch.inference_mode():
            out = model(templates, as_input(np.stack(views)))
        for video, box in enumerate(current):
            place = out[video, 0].flatten().softmax(0)
            peak = int(place.argmax())
            i, j = divmod(peak, cells)
            side = around * max(box[2:])
            middle = box[:2] + box[2:] / 2 + ((np.array([j, i]) + 0.5) / cells - 0.5) * side
            size = max(box[2:]) * np.exp(out[video, 1:, i, j].numpy())
            size = np.clip(0.7 * box[2:] + 0.3 * size, 6, SIDE)
            current[video] = np.r_[np.clip(middle, 0, SIDE) - size / 2, size]
            real = truth[video][frame]
            if real is not None:
                learned.append(overlap(current[video], real))
                blind.append(overlap(starts[video], real))
    return "AO", f"{np.mean(learned):.3f}", f"{np.mean(blind):.3f}"


STUDIES = {
    "pose": pose,
    "depth": depth,
    "detection": detection,
    "tracking": tracking,
    **{
        kind: lambda kind=kind: classification(kind)
        for kind in ("covered", "fine", "novel-1", "novel-2", "novel-3")
    },
}


HEAD = (
    f"World version {WORLD_VERSION}, seed 0: {TRAIN} training and {SELECTION} selection scenes "
    "(tracking: 120 and 40 videos).\n\n"
    "| annotation | metric | small net from scratch | without looking |\n|---|---|---|---|\n"
)
TABLE = re.compile(r"(<!-- calibration -->\n)(.*)(<!-- end of calibration -->)", re.DOTALL)


def write(rows: dict[str, str]) -> None:
    """Put rows into the page; those of other annotations stay if they are of the same world."""
    text = PAGE.read_text()
    found = TABLE.search(text)
    if found is None:
        raise SystemExit(f"{PAGE} has no place for the table")
    old = {}
    if found[2].startswith(HEAD):
        old = {line.split()[1]: line for line in found[2][len(HEAD) :].splitlines()}
    rows = {**old, **rows}
    table = HEAD + "".join(f"{rows[name]}\n" for name in STUDIES if name in rows)
    PAGE.write_text(text[: found.start(2)] + table + text[found.end(2) :])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--write", action="store_true", help="put each row into the page")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(HEAD, end="", flush=True)
    for name in chosen.only:
        torch.manual_seed(0)
        start = time.monotonic()
        metric, learned, blind = STUDIES[name]()
        row = f"| {name} | {metric} | {learned} | {blind} |"
        print(row, f"  ({time.monotonic() - start:.0f} s)", flush=True)
        if chosen.write:
            write({name: row})


if __name__ == "__main__":
    main()
