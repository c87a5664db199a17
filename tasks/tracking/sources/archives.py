"""Zip archives whose members are read where they lie: nothing is unpacked."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tasks.contract import DataError
from tasks.names import printable

if TYPE_CHECKING:
    from pathlib import Path

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_ENCRYPTED = 1


class Member(NamedTuple):
    """Where a member lies in its archive.

    Attributes:
        offset: of its local header.
        packed: bytes that it takes.
        size: bytes that it has.
        crc: checksum of these.
        method: `STORED` or `DEFLATED`.
    """

    offset: int
    packed: int
    size: int
    crc: int
    method: int


class Archive:
    """The members of an archive, by folder and name.

    Attributes:
        path: of the archive.
        folders: folder inside, with `/` at its end unless it is the top -> name -> member.
    """

    def __init__(self, path: Path) -> None:
        """Read the list of members.

        Raises:
            DataError: a file that is no archive, or damaged; a member that is encrypted or packed
                in another way than by deflation.
        """
        self.path = str(path)
        self.folders: dict[str, dict[str, Member]] = defaultdict(dict)
        try:
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    self._add(info)
        except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise self._refusal(f"{reason or error}; fetch it again") from None

    def _add(self, info: zipfile.ZipInfo) -> None:
        folder, _, name = info.filename.rpartition("/")
        folder = f"{folder}/" if folder else ""
        members = self.folders[folder]
        # Folders that hold folders alone may have no entry of their own.
        while folder:
            folder = folder[: folder.rindex("/", 0, -1) + 1] if "/" in folder[:-1] else ""
            self.folders.setdefault(folder, {})
        if not name:
            return
        if info.flag_bits & _ENCRYPTED:
            raise self._refusal(f"its member `{printable(info.filename)}` is encrypted")
        if info.compress_type not in (STORED, DEFLATED):
            raise self._refusal(
                f"its member `{printable(info.filename)}` is packed by method "
                f"{info.compress_type}, not stored or deflated; pack it again with `zip`"
            )
        if name in members:
            raise self._refusal(f"it has two members `{printable(info.filename)}`")
        members[name] = Member(
            info.header_offset, info.compress_size, info.file_size, info.CRC, info.compress_type
        )

    def _refusal(self, why: str) -> DataError:
        return DataError(f"cannot read the archive `{printable(self.path)}`: {why}")


def extract(path: str, member: Member, name: str) -> bytes:
    """The bytes of a member.

    The archive is opened for each: no position is shared with another thread or process, and many
    archives leave no files open. Beside a JPEG's decoding that takes no time.

    Args:
        path: of the archive.
        member: as its list has it.
        name: what messages call it.

    Raises:
        DataError: it is damaged, or the archive is another than when it was listed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            head = os.pread(descriptor, _LOCAL.size, member.offset)
            if len(head) < _LOCAL.size or not head.startswith(b"PK\x03\x04"):
                raise ValueError("the archive was changed since it was opened, or is cut off")
            *_, name_length, extra_length = _LOCAL.unpack(head)
            start = member.offset + _LOCAL.size + name_length + extra_length
            content = os.pread(descriptor, member.packed, start)
        finally:
            os.close(descriptor)
        if member.method == DEFLATED:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.size + 1)
        if len(content) != member.size or zlib.crc32(content) != member.crc:
            raise ValueError("its checksum is wrong")
    except (OSError, ValueError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read `{name}`: {reason}; fetch the archive again") from None
    return content
