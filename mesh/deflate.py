"""Compression whose output is the same on every machine, which no build of zlib promises of another's.

What an `up` sends is kept in the state and compared with what the next one would send: were it compressed by another
build, every site would look changed. So this is written out, in whole numbers, and as short as it can be: one block
with the fixed codes of DEFLATE (RFC 1951), in gzip's format (RFC 1952).
"""

import struct
import zlib
from collections.abc import Iterator

_WINDOW, _SHORTEST, _LONGEST = 32768, 3, 258
# At how many earlier places a match is looked for: more find little.
_TRIES = 64


def _code_table(least: int, extra_bits: list[int]) -> list[tuple[int, int]]:
    """For each value from `least` on: the number of its code, and how far it is from the least value of that code.

    `extra_bits` are those that follow each code (RFC 1951, section 3.2.5).
    """
    return [(0, 0)] * least + [(code, more) for code, bits in enumerate(extra_bits) for more in range(1 << bits)]


_LENGTH_BITS = [max(0, code // 4 - 1) for code in range(28)]
_DISTANCE_BITS = [max(0, code // 2 - 1) for code in range(30)]
_LENGTHS = _code_table(_SHORTEST, _LENGTH_BITS)
_LENGTHS[_LONGEST] = (28, 0)  # which has a code of its own, without extra bits
_LENGTH_BITS.append(0)
_DISTANCES = _code_table(1, _DISTANCE_BITS)


def gzipped(data: bytes) -> bytes:
    """A gzip file of the data, without a name or a time."""
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return head + _block(data) + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _block(data: bytes) -> bytes:
    """The last block of a stream: the data's symbols, each as a number of bits, the first in the lowest."""
    value, filled = 0b011, 3
    made = bytearray()
    for bits, width in _symbols(data):
        value |= bits << filled
        filled += width
        while filled >= 8:
            made.append(value & 255)
            value >>= 8
            filled -= 8
    if filled:
        made.append(value)
    return bytes(made)


def _symbols(data: bytes) -> Iterator[tuple[int, int]]:
    """Bits and how many they are: of the bytes and matches, and of the end."""
    places: dict[bytes, list[int]] = {}
    at = 0
    while at < len(data):
        length, distance = _match(data, at, places)
        if length:
            code, more = _LENGTHS[length]
            yield _CODES[257 + code]
            yield more, _LENGTH_BITS[code]
            code, more = _DISTANCES[distance]
            yield _reversed(code, 5), 5
            yield more, _DISTANCE_BITS[code]
        else:
            yield _CODES[data[at]]
            length = 1
        for place in range(at, at + length):
            places.setdefault(data[place : place + _SHORTEST], []).append(place)
        at += length
    yield _CODES[256]


def _match(data: bytes, at: int, places: dict[bytes, list[int]]) -> tuple[int, int]:
    """The longest of what stood before and stands here again: its length, and how far back it is; or (0, 0)."""
    best = (0, 0)
    most = min(_LONGEST, len(data) - at)
    if most < _SHORTEST:
        return best
    for place in places.get(data[at : at + _SHORTEST], ())[: -_TRIES - 1 : -1]:
        if at - place > _WINDOW:
            break
        length = best[0]
        if data[place : place + length + 1] != data[at : at + length + 1]:
            continue  # no longer than the best
        while length < most and data[place + length] == data[at + length]:
            length += 1
        best = (length, at - place)
        if length == most:
            break
    return best


def _reversed(code: int, width: int) -> int:
    """A code's bits in the order in which they are written: the highest first, other than all other numbers'."""
    return int(f"{code:0{width}b}"[::-1], 2)


def _fixed_codes() -> list[tuple[int, int]]:
    """RFC 1951, section 3.2.6: bytes, the end, and lengths."""
    ranges = ((0x30, 8, 144), (0x190, 9, 112), (0, 7, 24), (0xC0, 8, 8))
    return [(_reversed(first + step, width), width) for first, width, count in ranges for step in range(count)]


_CODES = _fixed_codes()
