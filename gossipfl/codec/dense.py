"""Codecs that keep every number: float32 as it is, bfloat16 rounded to its upper half.

Byte order on the wire is little endian.  What bfloat16 rounds away is not lost: see codec/public_model.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gossipfl.codec.payload import SPAN, BadPayload, Codec, Diverged, Payload, Vector, all_finite, check_length

_INFINITE = 0x7F80                                       # bfloat16 exponent of infinity and NaN


def _encode_float32(delta: Vector) -> bytes:
    if not all_finite(delta):
        raise Diverged
    return delta.astype("<f4", copy=False).tobytes()


def _decode_float32(payload: Payload, size: int) -> Vector:
    check_length(payload, 4 * size)
    delta = np.frombuffer(payload, "<f4").astype(np.float32)     # a copy: the payload's buffer may be used again
    if not all_finite(delta):
        raise BadPayload("a float32 payload with numbers that are not finite")
    return delta


def _encode_bfloat16(delta: Vector) -> bytes:
    """Round to nearest even: add just under half of the part cut off, and one more where the part kept is odd."""
    bits = delta.view(np.uint32)
    half = np.empty(delta.size, "<u2")
    for start in range(0, delta.size, SPAN):
        part = bits[start : start + SPAN]
        rounded = part >> 16
        rounded &= 1
        rounded += 0x7FFF
        rounded += part
        np.right_shift(rounded, 16, out=half[start : start + SPAN], casting="unsafe")
    if not (all_finite(delta) and _all_finite_halves(half)):    # the largest numbers are rounded up to infinity
        raise Diverged
    return half.tobytes()


def _decode_bfloat16(payload: Payload, size: int) -> Vector:
    check_length(payload, 2 * size)
    half = np.frombuffer(payload, "<u2")
    if not _all_finite_halves(half):
        raise BadPayload("a bfloat16 payload with numbers that are not finite")
    bits = np.empty(size, np.uint32)
    for start in range(0, size, SPAN):
        np.left_shift(half[start : start + SPAN], 16, out=bits[start : start + SPAN], dtype=np.uint32)
    return bits.view(np.float32)


def _all_finite_halves(half: npt.NDArray[np.uint16]) -> bool:
    return all(
        bool(((half[start : start + SPAN] & _INFINITE) != _INFINITE).all()) for start in range(0, half.size, SPAN)
    )


FLOAT32 = Codec("float32", _encode_float32, _decode_float32, lambda size: 4 * size)
BFLOAT16 = Codec("bfloat16", _encode_bfloat16, _decode_bfloat16, lambda size: 2 * size)
