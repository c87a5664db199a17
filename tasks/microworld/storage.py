"""The cache on disk: whole folders only, each with a manifest and checksums."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tasks.contract import DataError

MANIFEST = "manifest.json"
_VERIFIED = "verified.json"


def default_root() -> Path:
    """Return the cache folder: `HARNESS_CACHE`, or the platform's cache folder."""
    from backbones.fetch import cache_root

    return cache_root()


def libraries() -> dict[str, str]:
    """Name what the bytes of a rendering may depend on beside the version of the world."""
    return {"numpy": np.__version__, "machine": platform.machine()}


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_sha256(description: dict[str, Any], files: dict[str, str]) -> str:
    """Return the hash of a data set: what it was made from, and the bytes that came out."""
    text = json.dumps([description, files], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def publish(partial: Path, final: Path, description: dict[str, Any], names: Iterable[str]) -> None:
    """Write the manifest of a filled folder and move the folder to its place."""
    files = {name: file_sha256(partial / name) for name in sorted(names)}
    manifest = {
        **description,
        "libraries": libraries(),
        "files": files,
        "sha256": content_sha256(description, files),
    }
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    _remember(partial, files)
    if final.exists():
        shutil.rmtree(final)
    partial.replace(final)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a data set. Raises DataError if it is not readable or not whole."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        files = manifest["files"]
        described = {k: v for k, v in manifest.items() if k not in ("libraries", "files", "sha256")}
        whole = manifest["sha256"] == content_sha256(described, files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no manifest of a microworld data set; {_REMEDY}") from error
    if not whole:
        raise DataError(f"{path} was changed after it was written; {_REMEDY}")
    return dict(manifest)


def verify(folder: Path, always: bool = False) -> dict[str, Any]:
    """Return the manifest once all files are as it says.

    The bytes are hashed the first time, whenever size or time of a file changed, and `always` when
    asked for. Raises DataError naming the file that is missing or damaged.
    """
    manifest = read_manifest(folder)
    files: dict[str, str] = manifest["files"]
    for name in files:
        if not (folder / name).is_file():
            raise DataError(f"{folder / name} is missing; {_REMEDY}")
    if not always and _remembered(folder) == _stamps(folder, files):
        return manifest
    for name, expected in files.items():
        if file_sha256(folder / name) != expected:
            raise DataError(f"{folder / name} is damaged (its sha256 is another); {_REMEDY}")
    _remember(folder, files)
    return manifest


_REMEDY = "delete its folder and run `harness data prepare microworld`"


def _stamps(folder: Path, files: Iterable[str]) -> dict[str, list[int]]:
    stats = {name: (folder / name).stat() for name in files}
    return {name: [s.st_mtime_ns, s.st_size] for name, s in stats.items()}


def _remember(folder: Path, files: Iterable[str]) -> None:
    beside = folder / f"{_VERIFIED}.{os.getpid()}"
    try:
        beside.write_text(json.dumps(_stamps(folder, files)))
        beside.replace(folder / _VERIFIED)
    except OSError:
        # A read-only cache is verified again in each process.
        return


def _remembered(folder: Path) -> Any:
    try:
        return json.loads((folder / _VERIFIED).read_text())
    except (OSError, ValueError):
        return None
