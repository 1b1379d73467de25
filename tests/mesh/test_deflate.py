"""Compression: what is compressed comes back whole, whatever it is, and the bytes are those of the RFC."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.deflate import gzipped


@given(st.binary(max_size=400) | st.lists(st.sampled_from([b"a", b"ab", b"abc" * 90, b"\0", b"\xff"])).map(b"".join))
def test_what_is_compressed_comes_back(data: bytes) -> None:
    assert gzip.decompress(gzipped(data)) == data


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 5, 255, 256, 257, 8191, 8193, 24577, 32766, 32767, 32768, 32769])
@pytest.mark.parametrize("length", [3, 10, 11, 34, 35, 257, 258, 259])
def test_matches_of_every_length_and_distance_come_back(distance: int, length: int) -> None:
    word = bytes((7 * place + place // 251) % 256 for place in range(length))
    data = (word + bytes(place % 241 for place in range(distance)))[:distance] + word
    assert gzip.decompress(gzipped(data)) == data


def test_the_bytes_are_those_that_rfc_1951_gives() -> None:
    # The block's three bits, 110; then, each code from its highest bit on: "a" is 10010001, and the end 0000000.
    assert gzipped(b"")[10:-8] == bytes([0b00000011, 0b00000000])
    assert gzipped(b"a")[10:-8] == bytes([0b01001011, 0b00000100, 0b00000000])


def test_it_tells_no_name_and_no_time() -> None:
    assert gzipped(b"a")[:10] == bytes([31, 139, 8, 0, 0, 0, 0, 0, 2, 255])


def test_what_comes_again_costs_next_to_nothing() -> None:
    once = bytes(place * place % 251 for place in range(300))
    assert len(gzipped(once * 20)) < len(gzipped(once)) + 20 * 12


def test_another_implementation_checks_its_sum() -> None:
    made = bytearray(gzipped(b"some text, some text"))
    made[-8] ^= 1
    with pytest.raises((gzip.BadGzipFile, zlib.error)):
        gzip.decompress(bytes(made))
