"""CBOR out (RFC 8949): as much of it as golden samples and reference profiles are made of.

Must never break: a float is written in 32 bits, which is what the hub and devices read.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple


class F32(NamedTuple):
    """A number that is written as a 32-bit float."""

    value: float


def encode(value: Any) -> bytes:
    """A value of ints, `F32`, texts, bytes, lists and dicts."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def _write(value: Any, out: bytearray) -> None:
    match value:
        case F32(number):
            out += b"\xfa" + struct.pack(">f", number)
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            _head(0 if value >= 0 else 1, value if value >= 0 else -1 - value, out)
        case bytes():
            _head(2, len(value), out)
            out += value
        case str():
            text = value.encode("utf-8")
            _head(3, len(text), out)
            out += text
        case list():
            _head(4, len(value), out)
            for one in value:
                _write(one, out)
        case dict():
            _head(5, len(value), out)
            for key, one in value.items():
                _write(key, out)
                _write(one, out)
        case _:
            raise TypeError(f"a {type(value).__name__} is no part of a package")


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for extra, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if number < 1 << 8 * struct.calcsize(form):
            out.append(major << 5 | extra)
            out += struct.pack(form, number)
            return
    raise OverflowError(f"{number} does not fit into 64 bits")
