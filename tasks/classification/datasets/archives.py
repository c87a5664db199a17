"""Unpacking official archives: checked before, and put in place only when whole."""

from __future__ import annotations

import filecmp
import gzip
import hashlib
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from tasks.classification.datasets.contract import Archive, Publication
from tasks.contract import DataError

Progress = Callable[[int, int], None]
"""Called with bytes done and in all."""

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError)
_BLOCK = 1 << 20


def packed(publication: Publication, root: Path) -> tuple[Archive, ...]:
    """The archives that lie in the root while what they give is not there."""
    return tuple(
        archive
        for archive in publication.archives
        if (root / archive.name).is_file() and not (root / archive.gives).exists()
    )


def unpack(archive: Archive, root: Path, progress: Progress | None = None) -> str:
    """Verify an archive that lies in the root and unpack it there.

    It is unpacked into a folder beside and moved when whole; what it gives comes last, so that an
    interrupted unpacking is begun again.

    Returns:
        What was done, in a line.

    Raises:
        DataError: its md5 is not the published one (nothing is unpacked), it is damaged, leads out
            of the root, holds links or devices, lacks what it should give, or a file of another
            content is in the way.
    """
    path = root / archive.name
    whole = 2 * path.stat().st_size

    def half(done: int) -> None:
        if progress is not None:
            progress(done, whole)

    _verify(archive, path, half)
    beside = root / f".{path.name}.partial"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        members = 0
        for done in _extract(path, beside):
            members += 1
            half(whole // 2 + done)
        if not (beside / archive.gives).exists():
            raise DataError(f"`{path}` has no `{archive.gives}` in it; get the official archive")
        _move(beside, root, archive.gives)
    except (*_DAMAGE, EOFError, RuntimeError) as error:
        raise DataError(f"`{path}` is damaged or cut short: {error}; get it again") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    half(whole)
    sum_ = "md5 as published" if archive.md5 else "no md5 is published for it"
    return f"{archive.name}: {members} files and folders unpacked, {sum_}"


def _verify(archive: Archive, path: Path, progress: Callable[[int], None]) -> None:
    if archive.md5 is None:
        return
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress(done)
    if digest.hexdigest() != archive.md5:
        raise DataError(
            f"`{path}` has md5 {digest.hexdigest()}, published is {archive.md5}: it is cut short, "
            "damaged or another release; get it again"
        )


def _extract(path: Path, target: Path) -> Iterator[int]:
    """Unpack all members; gives the position in the archive after each."""
    if zipfile.is_zipfile(path):
        yield from _extract_zip(path, target)
        return
    with path.open("rb") as file, tarfile.open(fileobj=file) as tar:
        for member in tar:
            _inside(member.name, path)
            if not (member.isreg() or member.isdir()):
                raise DataError(f"`{path}` holds `{member.name}`, which is no file and no folder")
            tar.extract(member, target, filter="data")
            yield file.tell()


def _extract_zip(path: Path, target: Path) -> Iterator[int]:
    done = 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _inside(member.filename, path)
            # What macOS adds.
            if not member.filename.startswith("__MACOSX/"):
                archive.extract(member, target)
            done += member.compress_size
            yield done


def _inside(name: str, path: Path) -> None:
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in (pure.parts or ("",))[0]:
        raise DataError(f"`{path}` holds `{name}`, which leads out of the folder; it is refused")


def _move(source: Path, target: Path, last: str) -> None:
    """Move everything into the target: whole folders where there is none of the name, `last` and
    what holds it after all others."""

    def late(name: str) -> bool:
        return last == name or last.startswith(f"{name}/")

    for ours in sorted(source.iterdir(), key=lambda path: (late(path.name), path.name)):
        theirs = target / ours.name
        if not theirs.exists():
            ours.rename(theirs)
        elif ours.is_dir() and theirs.is_dir():
            _move(ours, theirs, last.removeprefix(f"{ours.name}/"))
        elif ours.is_dir() or theirs.is_dir() or not filecmp.cmp(ours, theirs, shallow=False):
            raise DataError(f"`{theirs}` is in the way and of another content; move it elsewhere")
