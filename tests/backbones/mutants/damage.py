"""Damage to the bytes of a file: each returns other bytes and says what it did."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from random import Random

Damage = Callable[[bytes, Random], tuple[bytes, str]]


def truncated(data: bytes, random: Random) -> tuple[bytes, str]:
    share = random.choice([0.001, 0.02, 0.3, 0.5, 0.9, 0.99, 0.999])
    length = max(1, int(share * len(data)))
    return data[:length], f"{length} of {len(data)} bytes"


def last_byte_missing(data: bytes, _: Random) -> tuple[bytes, str]:
    return data[:-1], "the last byte"


def emptied(_: bytes, __: Random) -> tuple[bytes, str]:
    return b"", "all bytes"


def html_in_its_place(_: bytes, random: Random) -> tuple[bytes, str]:
    head = random.choice([b"<!DOCTYPE html>\n", b"\xef\xbb\xbf<html>", b"\n\n<HTML lang=en>"])
    return head + b"<body>Sign in to continue</body></html>", repr(head)


def bytes_of_chance(data: bytes, random: Random) -> tuple[bytes, str]:
    return data[:2] + random.randbytes(len(data) - 2), "all but the first two"


def directory_of_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    """One byte of the list of entries at the end."""
    return _flip(data, random, data.index(b"PK\x01\x02"), len(data))


def names_in_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    """One byte of the header before some entry."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        start = random.choice(archive.infolist()).header_offset
    return _flip(data, random, start, start + 30)


def pickle_in_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    return _flip(data, random, *_entry(data, "data.pkl"))


def tensor_in_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [m.filename for m in archive.infolist() if "/data/" in m.filename and m.file_size]
    return _flip(data, random, *_entry(data, random.choice(names)))


def entry_twice_in_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    """A second entry of the name of a tensor's, with other values."""
    buffer = io.BytesIO(data)
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        members = [m for m in archive.infolist() if "/data/" in m.filename and m.file_size]
        member = random.choice(members)
        archive.writestr(member.filename, bytes(member.file_size))
    return buffer.getvalue(), member.filename


def entry_missing_in_zip(data: bytes, random: Random) -> tuple[bytes, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = random.choice([n for n in archive.namelist() if "/data/" in n or "data.pkl" in n])
    return _zipped(data, lambda n: n != name, zipfile.ZIP_STORED), name


def compressed_zip(data: bytes, _: Random) -> tuple[bytes, str]:
    """Whole, but packed again: it unpacks to more than it is."""
    return _zipped(data, lambda _: True, zipfile.ZIP_DEFLATED), "all entries"


def header_of_safetensors(data: bytes, random: Random) -> tuple[bytes, str]:
    return _flip(data, random, 8, 8 + int.from_bytes(data[:8], "little"))


def length_of_header(data: bytes, random: Random) -> tuple[bytes, str]:
    claimed = random.choice([0, 1, 99_000_000, 1 << 40, (1 << 63) + 5, (1 << 64) - 1])
    return claimed.to_bytes(8, "little") + data[8:], f"claims {claimed}"


def values_of_safetensors(data: bytes, random: Random) -> tuple[bytes, str]:
    """A high bit of the mantissa of one value, which stays finite."""
    start = 8 + int.from_bytes(data[:8], "little")
    place = start + 4 * random.randrange((len(data) - start) // 4) + 2
    return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :], f"byte {place}"


def any_byte(data: bytes, random: Random) -> tuple[bytes, str]:
    return _flip(data, random, 0, len(data))


def _flip(data: bytes, random: Random, start: int, stop: int) -> tuple[bytes, str]:
    place = random.randrange(start, stop)
    other = data[place] ^ random.randrange(1, 256)
    return data[:place] + bytes([other]) + data[place + 1 :], f"byte {place} is {other}"


def _entry(data: bytes, suffix: str) -> tuple[int, int]:
    """Return where the content of an entry begins and ends."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = next(m for m in archive.infolist() if m.filename.endswith(suffix))
    head = data[member.header_offset : member.header_offset + 30]
    lengths = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
    start = member.header_offset + 30 + lengths
    return start, start + member.file_size


def _zipped(data: bytes, keep: Callable[[str], bool], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", method) as new:
        for name in filter(keep, old.namelist()):
            new.writestr(name, old.read(name))
    return buffer.getvalue()
