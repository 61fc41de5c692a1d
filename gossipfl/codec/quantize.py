"""int8: each block of 256 numbers shares one scale, its largest magnitude over 127.

    payload = scales, float32 little endian, one per block | d numbers, int8

Rounding is to nearest, so encoding is deterministic; the rounding error stays in the difference to the public model
and is sent with the next delta (codec/public_model.py), so no randomness is needed to keep it from adding up.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from gossipfl.codec.payload import SPAN, BadPayload, Codec, Diverged, Payload, Vector, check_length

Number = TypeVar("Number", bound=np.generic)

BLOCK = 256
_LEVELS = np.float32(127)
_SCALE_MIN = np.finfo(np.float32).tiny                   # below, a block is sent as zeros: its inverse would overflow
_SCALE_MAX = np.finfo(np.float32).max / np.float32(128)  # above, a scale times -128 would overflow


def _encode_int8(delta: Vector) -> bytes:
    scales = np.empty(_blocks(delta.size), "<f4")
    numbers = np.empty(delta.size, np.int8)
    for start in range(0, delta.size, SPAN):
        rows = _rows(delta[start : start + SPAN])                          # (blocks, 256)
        scale = _scale(rows)                                               # (blocks,)
        scales[start // BLOCK :][: len(scale)] = scale
        inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
        scaled = np.rint(rows * inverse[:, None])
        numbers[start : start + SPAN] = scaled.reshape(-1)[: delta.size - start]
    return scales.tobytes() + numbers.tobytes()


def _decode_int8(payload: Payload, size: int) -> Vector:
    check_length(payload, _payload_bytes(size))
    scales = np.frombuffer(payload, "<f4", count=_blocks(size))
    if not ((scales >= 0) & (scales <= _SCALE_MAX)).all():                 # false for NaN
        raise BadPayload(f"an int8 scale outside 0 to {_SCALE_MAX:.3g}")
    numbers = np.frombuffer(payload, np.int8, offset=scales.nbytes)
    delta = np.empty(size, np.float32)
    for start in range(0, size, SPAN):
        rows = _rows(numbers[start : start + SPAN])                        # (blocks, 256)
        scaled = rows * scales[start // BLOCK :][: len(rows), None]
        delta[start : start + SPAN] = scaled.reshape(-1)[: size - start]
    return delta


def _scale(rows: npt.NDArray[np.float32]) -> Vector:
    """One scale per row (blocks, 256) -> (blocks,).  Raises Diverged where a row holds a NaN or is too large."""
    scale: Vector = np.abs(rows).max(axis=1) / _LEVELS
    if not (scale <= _SCALE_MAX).all():
        raise Diverged
    scale[scale < _SCALE_MIN] = 0
    return scale


def _rows(part: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """At most SPAN numbers as (blocks, 256), the last block filled with zeros."""
    missing = -part.size % BLOCK
    return (np.pad(part, (0, missing)) if missing else part).reshape(-1, BLOCK)


def _blocks(size: int) -> int:
    return -(-size // BLOCK)


def _payload_bytes(size: int) -> int:
    return 4 * _blocks(size) + size


INT8 = Codec("int8", _encode_int8, _decode_int8, _payload_bytes)
