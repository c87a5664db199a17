"""Files that only look like checkpoints: archives, bombs, pipes. Each is written to a path."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from tests.backbones.mutants.pickles import BOMBS, PAYLOADS, Raw, saved

Hostile = Callable[[dict[str, Any], Path, Random], str]
"""Of a checkpoint's content; says what it wrote."""

MARKER = "ran"
"""The file beside a mutant that planted code would make."""

PLACES = ("beside", "among", "alone")
CONTAINERS = ("zip", "legacy", "bare")


def code_in_pickle(content: dict[str, Any], path: Path, random: Random) -> str:
    name = random.choice(list(PAYLOADS))
    return f"{name} {_plant(content, PAYLOADS[name](path.with_name(MARKER)), path, random)}"


def bomb_in_pickle(content: dict[str, Any], path: Path, random: Random) -> str:
    name = random.choice(list(BOMBS))
    return f"{name} {_plant(content, BOMBS[name](), path, random)}"


def _plant(content: dict[str, Any], code: bytes, path: Path, random: Random) -> str:
    place, container = random.choice(PLACES), random.choice(CONTAINERS)
    plant(content, code, path, place, container)
    return f"{place}, {container}"


def plant(content: dict[str, Any], code: bytes, path: Path, place: str, container: str) -> None:
    """Write a checkpoint with opcodes beside the weights, among them, or in place of all."""
    key = next((key for key in ("model", "state_dict") if key in content), None)
    planted: Any = {**content, "args": Raw(code)}
    if place == "among" and key:
        planted = {**content, key: {**content[key], "norm.extra": Raw(code)}}
    elif place == "alone":
        planted = Raw(code)
    if container == "bare":
        path.write_bytes(b"\x80\x02" + code + b".")
    else:
        path.write_bytes(saved(planted, container == "zip"))


def expanded_tensor(content: dict[str, Any], path: Path, _: Random) -> str:
    """One stored value among the weights, by strides of 0 a thousand million of them."""
    huge = torch.zeros(1, dtype=torch.float16).expand(1 << 15, 1 << 15)
    key = next((key for key in ("model", "state_dict") if key in content), None)
    state = {**(content[key] if key else content), "huge.weight": huge}
    torch.save({**content, key: state} if key else state, path)
    return "a GiB of float16"


def claimed_storage(content: dict[str, Any], path: Path, _: Random) -> str:
    """A legacy file whose pickle claims a storage of 16 GiB."""
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(4)}, buffer, _use_new_zipfile_serialization=False)
    head, kind, rest = buffer.getvalue().partition(b"cpu")
    path.write_bytes(head + kind + rest.replace(b"K\x04", b"\x8a\x05\x00\x00\x00\x00\x01", 1))
    return "16 GiB"


def zip_bomb(_: dict[str, Any], path: Path, __: Random) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("archive/data.pkl", "w") as file:
            for _ in range(256):
                file.write(bytes(1 << 20))
        archive.writestr("archive/version", "3\n")
    return "256 MiB of zeros"


def overlapping_zip(_: dict[str, Any], path: Path, __: Random) -> str:
    """A hundred names for one entry of 1 MiB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
        member = archive.infolist()[0]
        for number in range(100):
            other = zipfile.ZipInfo(f"archive/data/{number}")
            for field in ("CRC", "compress_size", "file_size", "header_offset"):
                setattr(other, field, getattr(member, field))
            archive.filelist.append(other)
    path.write_bytes(buffer.getvalue())
    return "100 entries"


def tar_with_link(_: dict[str, Any], path: Path, random: Random) -> str:
    """The oldest layout of torch was a tar file; links in it may lead anywhere."""
    name = random.choice(["storages", "../outside", "/etc/passwd"])
    mode = random.choice(["w", "w:gz", "w:bz2", "w:xz"])
    with tarfile.open(path, mode, format=random.choice([0, 1, 2])) as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    return f"{name}, {mode}"


def header_without_end(_: dict[str, Any], path: Path, __: Random) -> str:
    """safetensors: lists in lists, for 10 MB."""
    text = b'{"a":' + b"[" * 10_000_000
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return "10 MB"


def tensor_without_bytes(_: dict[str, Any], path: Path, __: Random) -> str:
    header = {"a.weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    return "claims 4 TiB"


def folder(_: dict[str, Any], path: Path, __: Random) -> str:
    path.mkdir()
    return "empty"


def pipe(_: dict[str, Any], path: Path, __: Random) -> str:
    os.mkfifo(path)
    return "without a writer"


def link_to_device(_: dict[str, Any], path: Path, random: Random) -> str:
    device = random.choice(["/dev/zero", "/dev/null"])
    path.symlink_to(device)
    return device


def link_to_itself(_: dict[str, Any], path: Path, __: Random) -> str:
    path.symlink_to(path)
    return "a loop"
