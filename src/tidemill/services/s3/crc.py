"""Cyclic redundancy checks that the standard library lacks: CRC-32C and CRC-64/NVME.

Both run in AWS's own C library where `awscrt` is installed. Without it, large blocks are folded
by arithmetic on big integers, some ten times as fast as a table's look-up a byte. All of S3's
checks are reflected, begin with all ones and end inverted, so that the check of two pieces
follows from the checks of each.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Final

CRC32: Final = (0xEDB88320, 32)
CRC32C: Final = (0x82F63B78, 32)
CRC64NVME: Final = (0x9A6C9329AC4BC9B5, 64)

BLOCK_BYTES: Final = (65536, 2048)
FOLDED_BYTES: Final = 32

Polynomial = tuple[int, int]
"""The reflected polynomial without its highest term, and its degree."""

Update = Callable[[bytes, int], int]
"""The check of what came before and `data`, as `zlib.crc32` has it."""

_Folds = tuple[tuple[int, tuple[int, ...]], ...]


@functools.cache
def updater(name: str) -> Update:
    """The fastest way at hand to work out `crc32c` or `crc64nvme`."""
    try:
        fast: Update = getattr(importlib.import_module("awscrt.checksums"), name)
    except (ImportError, AttributeError):
        polynomial = CRC32C if name == "crc32c" else CRC64NVME
        return functools.partial(_update, *polynomial)
    return fast


def combine(polynomial: Polynomial, first: int, second: int, second_bytes: int) -> int:
    """The check of two pieces in a row, from theirs and the length of the second."""
    return _multiply(polynomial, first, _power_of_x(polynomial, 8 * second_bytes)) ^ second


def _update(mask: int, degree: int, data: bytes, value: int = 0) -> int:
    ones = (1 << degree) - 1
    value ^= ones
    start = 0
    for size in BLOCK_BYTES:
        folds = _folds(mask, degree, size)
        while len(data) - start >= size:
            bits = int.from_bytes(data[start : start + size], "little") ^ value
            rest = _fold(folds, bits)
            value = _step(mask, 0, rest.to_bytes(FOLDED_BYTES, "little"))
            start += size
    return _step(mask, value, data[start:]) ^ ones


def _fold(folds: _Folds, bits: int) -> int:
    """Bits with the same remainder, but few: bit i of n stands for x to the n - 1 - i.

    The first half of the bits, times what its power of x leaves modulo the polynomial, goes into
    the second half: some 32 shifts of half a block, instead of a look-up for each of its bytes.
    """
    for half, shifts in folds:
        first = bits & ((1 << half) - 1)
        bits >>= half
        for shift in shifts:
            bits ^= first << shift
    return bits


@functools.cache
def _folds(mask: int, degree: int, size: int) -> _Folds:
    """How to fold a block of `size` bytes down to `FOLDED_BYTES`: (bits folded, shifts) each."""
    folds: list[tuple[int, tuple[int, ...]]] = []
    length = 8 * size
    while length > 8 * FOLDED_BYTES:
        half = min((length - 64) // 2, length - 8 * FOLDED_BYTES)
        kept = length - half
        power = _power_of_x((mask, degree), kept)
        exponents = [degree - 1 - bit for bit in range(degree) if power >> bit & 1]
        folds.append((half, tuple(kept - half - exponent for exponent in exponents)))
        length = kept
    return tuple(folds)


def _step(mask: int, value: int, data: bytes) -> int:
    table = _table(mask)
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value


@functools.cache
def _table(mask: int) -> tuple[int, ...]:
    """What each byte does to the check."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ mask if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


def _multiply(polynomial: Polynomial, left: int, right: int) -> int:
    mask, degree = polynomial
    product = 0
    bit = 1 << (degree - 1)
    while bit:
        if left & bit:
            product ^= right
        right = (right >> 1) ^ mask if right & 1 else right >> 1
        bit >>= 1
    return product


def _power_of_x(polynomial: Polynomial, exponent: int) -> int:
    degree = polynomial[1]
    power, square = 1 << (degree - 1), 1 << (degree - 2)
    while exponent:
        if exponent & 1:
            power = _multiply(polynomial, power, square)
        square = _multiply(polynomial, square, square)
        exponent >>= 1
    return power
