"""Images of any kind: the pixels that Pillow gives, or an error that names the file."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps, features
from PIL.PngImagePlugin import PngInfo

from tasks import images
from tasks.classification.datasets.files import Files
from tasks.contract import DataError

SHARED = Path(__file__).parents[2] / "../shared/data"
WIDTH, HEIGHT = 37, 29


def picture(seed: int = 0) -> Image.Image:
    """Smooth enough for JPEG, with something of its own in each corner."""
    rng = np.random.default_rng(seed)
    heights = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(heights).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def deep(scale: int = 65535) -> Image.Image:
    return Image.fromarray(
        np.linspace(0, scale, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype("u2")
    )


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def by_pillow(content: bytes) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        return np.asarray(upright.convert("RGB"))


def transparent(mode: str) -> Image.Image:
    image = picture().convert("RGBA")
    image.putalpha(picture(1).convert("L"))
    return image.convert(mode)


def described() -> PngInfo:
    """What changes no pixel, but might be taken to: a gamma, colours of another screen."""
    info = PngInfo()
    info.add(b"gAMA", (70000).to_bytes(4, "big"))
    info.add(b"cHRM", b"".join(n.to_bytes(4, "big") for n in (3, 3, 6, 3, 2, 7, 1, 1)))
    info.add(b"sRGB", b"\1")
    info.add(b"tIME", b"\x07\xd0\1\1\1\1\1")
    return info


def animation() -> dict[str, Any]:
    return {"save_all": True, "append_images": [picture(1), picture(2)]}


RGB, GREY, CMYK = picture(), picture().convert("L"), picture().convert("CMYK")
PALETTE = picture().convert("P")
FILES: dict[str, bytes] = {
    "jpeg": encoded(RGB, "JPEG"),
    "jpeg 4:4:4": encoded(RGB, "JPEG", subsampling=0, quality=95),
    "jpeg 4:2:2": encoded(RGB, "JPEG", subsampling=1),
    "jpeg of RGB": encoded(RGB, "JPEG", keep_rgb=True),
    "jpeg progressive": encoded(RGB, "JPEG", progressive=True),
    "jpeg restarts": encoded(RGB, "JPEG", restart_marker_rows=1),
    "jpeg grey": encoded(GREY, "JPEG"),
    "jpeg cmyk": encoded(CMYK, "JPEG"),
    "jpeg with a tail": encoded(RGB, "JPEG") + b"made by a camera",
    "mpo": encoded(RGB, "MPO", save_all=True, append_images=[picture(1)]),
    "png": encoded(RGB, "PNG"),
    "png with gamma": encoded(RGB, "PNG", pnginfo=described(), dpi=(300, 300)),
    "png with a profile": encoded(
        RGB, "PNG", icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    ),
    "png of one bit": encoded(RGB.convert("1"), "PNG"),
    "png grey": encoded(GREY, "PNG"),
    "png grey of two bits": encoded(GREY, "PNG", bits=2),
    "png grey with alpha": encoded(transparent("LA"), "PNG"),
    "png with alpha": encoded(transparent("RGBA"), "PNG"),
    "png with a transparent colour": encoded(RGB, "PNG", transparency=(0, 0, 0)),
    "png palette": encoded(PALETTE, "PNG"),
    "png transparent palette": encoded(PALETTE, "PNG", transparency=bytes(range(256))),
    "apng": encoded(RGB, "PNG", **animation()),
    "gif": encoded(PALETTE, "GIF"),
    "gif animated": encoded(RGB, "GIF", **animation()),
    "webp": encoded(RGB, "WEBP"),
    "webp lossless with alpha": encoded(transparent("RGBA"), "WEBP", lossless=True),
    "webp animated": encoded(RGB, "WEBP", **animation()),
    "bmp": encoded(RGB, "BMP"),
    "ppm": encoded(RGB, "PPM"),
    "tiff": encoded(RGB, "TIFF"),
    "tiff lzw": encoded(RGB, "TIFF", compression="tiff_lzw"),
    "tiff cmyk": encoded(CMYK, "TIFF"),
    "tiff of two pages": encoded(RGB, "TIFF", **animation()),
    "jpeg 2000": encoded(RGB, "JPEG2000"),
    "1x1 jpeg": encoded(RGB.crop((0, 0, 1, 1)), "JPEG"),
    "1x1 png": encoded(RGB.crop((0, 0, 1, 1)), "PNG"),
    "1x1 grey gif": encoded(GREY.crop((0, 0, 1, 1)), "GIF"),
}


@pytest.mark.parametrize("kind", FILES)
def test_pixels_are_those_of_pillow(kind: str) -> None:
    found = images.decode(FILES[kind], kind)
    assert found.dtype == np.uint8 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, by_pillow(FILES[kind]))
    side = (1, 1) if kind.startswith("1x1") else (HEIGHT, WIDTH)
    assert found.shape == (*side, 3)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg grey", "jpeg progressive", "png", "png with gamma"])
def test_ordinary_files_go_the_fast_way(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = by_pillow(FILES[kind])

    def load(_: Any) -> None:
        raise AssertionError("Pillow decodes it")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    np.testing.assert_array_equal(images.decode(FILES[kind], kind), expected)


def test_opencv_gets_no_file_that_it_might_fill_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 4 does, OpenCV 5 does not."""
    filled = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: filled)
    for kind in ("jpeg", "jpeg grey", "jpeg progressive", "png"):
        with pytest.raises(DataError, match="truncated"):
            images.decode(FILES[kind][:-40], kind)


def test_of_an_animation_it_is_the_first_frame() -> None:
    for kind in ("apng", "webp animated", "tiff of two pages", "gif animated"):
        errors = [
            np.abs(images.decode(FILES[kind], kind) - np.asarray(picture(seed), float)).mean()
            for seed in (0, 1)
        ]
        assert errors[0] < 20 < 50 < errors[1], kind


def ycck() -> bytes:
    """What CMYK becomes where a program turns three of its channels (Adobe's marker: 2)."""
    content = encoded(CMYK, "JPEG")
    marker = content.index(b"Adobe")
    return content[: marker + 11] + b"\x02" + content[marker + 12 :]


def test_ycck() -> None:
    found = images.decode(ycck(), "ycck")
    np.testing.assert_array_equal(found, by_pillow(ycck()))
    assert not np.array_equal(found, images.decode(FILES["jpeg cmyk"], "cmyk"))


def big_endian() -> bytes:
    return encoded(
        Image.frombytes("I;16B", (WIDTH, HEIGHT), np.asarray(deep()).astype(">u2")), "TIFF"
    )


@pytest.mark.parametrize(
    "content",
    [encoded(deep(), "PNG"), encoded(deep(), "TIFF"), encoded(deep(), "PPM"), big_endian()],
    ids=["png", "tiff", "pgm", "big-endian tiff"],
)
def test_sixteen_bits_of_grey_are_scaled(content: bytes) -> None:
    """White stays white, and dark grey dark: Pillow's conversion makes nearly all of it white."""
    expected = np.rint(np.asarray(deep()) / 257).astype(np.uint8)
    assert (expected.min(), expected.max()) == (0, 255)
    np.testing.assert_array_equal(images.decode(content, "x"), expected[..., None].repeat(3, 2))


def test_sixteen_bits_of_colour_lose_their_lower_half() -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH, 3)).astype(np.uint16)
    done, content = cv2.imencode(".png", levels[..., ::-1])
    assert done
    np.testing.assert_array_equal(images.decode(content.tobytes(), "x"), levels >> 8)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_thirty_two_bits_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match=r"`depth\.tif`: .* 32 bits, of a range that is not stated"):
        images.decode(encoded(GREY.convert(mode), "TIFF"), "depth.tif")


def turned(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(RGB, kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_images_are_upright(kind: str, orientation: int) -> None:
    content = turned(orientation, kind)
    found = images.decode(content, "x")
    np.testing.assert_array_equal(found, by_pillow(content))
    assert found.shape[:2] == ((WIDTH, HEIGHT) if orientation in (5, 6, 7, 8) else (HEIGHT, WIDTH))
    if kind != "TIFF":
        plain = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        np.testing.assert_array_equal(images.decode(content, "x", upright=False), plain)


def test_a_damaged_tag_turns_nothing() -> None:
    content = turned(6, "JPEG")
    damaged = content.replace(b"Exif\0\0MM", b"Exif\0\0XX")
    assert damaged != content
    assert images.decode(damaged, "x").shape == (HEIGHT, WIDTH, 3)


BEHIND = {"jpeg with a tail", "mpo", "gif animated", "tiff of two pages"}


@pytest.mark.parametrize("kind", FILES)
def test_what_is_cut_short_is_refused(kind: str) -> None:
    """At any length, unless the picture was over: some files go on, some only say that they end."""
    content = FILES[kind]
    whole, size = images.decode(content, kind), len(FILES[kind])
    for length in sorted({*range(0, size, max(1, size // 40)), size - 9, size - 2, size - 1}):
        try:
            found = images.decode(content[:length], "cut.jpg")
        except DataError as error:
            assert "`cut.jpg`" in str(error) and "\n" not in str(error)
        else:
            assert length >= size - 2 or (kind in BEHIND and length > size / 4)
            np.testing.assert_array_equal(found, whole)


def test_a_damaged_png_is_refused() -> None:
    """Each byte of it: Pillow alone does not compare the checksums of the pixels."""
    content = bytearray(encoded(RGB.resize((5, 4)), "PNG"))
    for place in range(len(content)):
        damaged = content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]
        with pytest.raises(DataError, match=r"cannot read the image `a\.png`"):
            images.decode(bytes(damaged), "a.png")


@pytest.mark.parametrize("kind", [*FILES, "avif"])
def test_damage_raises_nothing_else(kind: str) -> None:
    """Where no checksum tells, other pixels come out; see the module."""
    if kind == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    content = encoded(RGB, "AVIF") if kind == "avif" else FILES[kind]
    rng = np.random.default_rng(0)
    for _ in range(30):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[rng.integers(0, len(content), 3)] = rng.integers(0, 256, 3)
        try:
            images.decode(damaged.tobytes(), "a")
        except DataError as error:
            assert str(error).startswith("cannot read the image `a`: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "`a`: it is empty; mend or remove it"),
        (b"<!DOCTYPE html>", "`a`: it is no image, or damaged at its head"),
        (b"\xff\xd8\xff\xd9", "`a`: it is "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "`a`: it is no image"),
    ],
)
def test_what_is_no_image_is_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        images.decode(content, "a")


def test_missing_files_and_broken_links_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"`.*gone\.jpg`: No such file or directory; mend or remove"
    ):
        images.read(tmp_path / "gone.jpg")
    (tmp_path / "link.jpg").symlink_to("gone.jpg")
    with pytest.raises(DataError, match=r"`.*link\.jpg` is a broken link: No such file"):
        images.read(tmp_path / "link.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    with pytest.raises(DataError, match=r"`.*self\.jpg` is a broken link: Too many levels"):
        images.read(tmp_path / "self.jpg")


def test_large_images_are_refused_as_pillow_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT // 2 - 1)
    with pytest.raises(DataError, match=r"`a`: .*exceeds limit"):
        images.decode(FILES["jpeg"], "a")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    images.decode(FILES["jpeg"], "a")


@pytest.mark.skipif(not SHARED.is_dir(), reason="no photographs beside the repository")
def test_photographs() -> None:
    files = sorted(SHARED.rglob("*.jpg"))[::25]
    assert len(files) > 50
    for path in files:
        np.testing.assert_array_equal(images.read(path), by_pillow(path.read_bytes()))


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "endless.png"):
        with pytest.raises(DataError, match=f"{name}.*a pipe or a device"):
            images.read(tmp_path / name)
    with pytest.raises(DataError, match=r"pipe\.png"):
        Files(tmp_path, ("pipe.png",)).end(0, 8)
