"""Asking a Parquet bloom filter, which pyarrow writes but does not read.

Format: https://github.com/apache/parquet-format/blob/master/BloomFilter.md (split blocks of 256 bits; xxHash64, seed 0, of
the plain bytes). The hash: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, "XXH64".
"""

from __future__ import annotations

import struct

from dataknobs_data.exceptions import DataFormatError

_SALTS = (0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31)
_BLOCK = 32
_BLOCK_WORDS = struct.Struct("<8I")
_FIRST_FIELD_I32 = 0x15

_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_M = 2**64 - 1


class BloomFilter:
    """One filter, from its header and bits. Raises DataFormatError for bytes that are none."""

    def __init__(self, content: bytes | memoryview) -> None:
        size = _bits_size(content)
        self._bits = content[len(content) - size :]
        self._blocks = size // _BLOCK
        if size > len(content) or size % _BLOCK or not size:
            raise DataFormatError("damaged pack: a bloom filter has an impossible size")

    def may_hold(self, hashed: int) -> bool:
        """Whether a value of that `xxh64` may be there; False is certain."""
        block = ((hashed >> 32) * self._blocks) >> 32
        words = _BLOCK_WORDS.unpack_from(self._bits, block * _BLOCK)
        key = hashed & 0xFFFFFFFF
        return all(word >> ((key * salt & 0xFFFFFFFF) >> 27) & 1 for word, salt in zip(words, _SALTS, strict=True))


def _bits_size(content: bytes | memoryview) -> int:
    """`numBytes`, the header's first field, in Thrift's compact protocol: a zigzag varint."""
    if len(content) < _BLOCK or content[0] != _FIRST_FIELD_I32:
        raise DataFormatError("damaged pack: a bloom filter does not begin with its size")
    number = 0
    for place, byte in enumerate(content[1:6]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return number >> 1


def xxh64(data: bytes) -> int:
    """The xxHash64 of `data`, seed 0."""
    size = len(data)
    place = 0
    if size >= 32:
        place, hashed = _stripes(data)
    else:
        hashed = _P5
    hashed = (hashed + size) & _M
    for (lane,) in struct.iter_unpack("<Q", data[place : place + (size - place) // 8 * 8]):
        hashed = (_rotated(hashed ^ _round(0, lane), 27) * _P1 + _P4) & _M
    place += (size - place) // 8 * 8
    if size - place >= 4:
        hashed = (
            _rotated(hashed ^ (int.from_bytes(data[place : place + 4], "little") * _P1 & _M), 23) * _P2 + _P3
        ) & _M
        place += 4
    for byte in data[place:]:
        hashed = _rotated(hashed ^ (byte * _P5 & _M), 11) * _P1 & _M
    hashed = (hashed ^ hashed >> 33) * _P2 & _M
    hashed = (hashed ^ hashed >> 29) * _P3 & _M
    return hashed ^ hashed >> 32


def _stripes(data: bytes) -> tuple[int, int]:
    """Where the whole stripes of 32 bytes end, and what they make."""
    lanes = [(_P1 + _P2) & _M, _P2, 0, -_P1 & _M]
    end = len(data) // 32 * 32
    for stripe in struct.iter_unpack("<4Q", data[:end]):
        lanes = [_round(lane, value) for lane, value in zip(lanes, stripe, strict=True)]
    hashed = sum(_rotated(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _M
    for lane in lanes:
        hashed = ((hashed ^ _round(0, lane)) * _P1 + _P4) & _M
    return end, hashed


def _round(lane: int, value: int) -> int:
    return _rotated((lane + value * _P2) & _M, 31) * _P1 & _M


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _M
