"""What every codec shares: its signature, the error of a bad payload and the two checks behind it.

A codec turns a delta into bytes and back; the bytes come from strangers, so `decode` checks length first, then numbers.
Nothing here knows how a payload travels (wire/chunks.py) or what it is added to (codec/public_model.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gossipfl.errors import PeerError, UserError

Vector = npt.NDArray[np.float32]                         # (d,), contiguous
Payload = bytes | memoryview

SPAN = 65_536                                            # numbers worked on at a time: 256 KiB of float32 stay in L2


class BadPayload(PeerError):
    """Bytes that are no delta or snapshot of this model: wrong length, or numbers that are not finite."""


class Diverged(UserError):
    """My own model has left the range of float32; nobody is told."""

    def __init__(self) -> None:
        super().__init__("the model diverged: its change is not finite; lower training.learning_rate")


class Codec(NamedTuple):
    """A pair of mirrors and the length between them; d is the model's number of parameters."""

    name: str
    encode: Callable[[Vector], bytes]                    # (d,) float32 -> payload; raises Diverged
    decode: Callable[[Payload, int], Vector]             # payload, d -> (d,) float32, a fresh array; raises BadPayload
    payload_bytes: Callable[[int], int]                  # d -> length of every payload


def check_length(payload: Payload, needed: int) -> None:
    """Raises BadPayload unless the payload has exactly `needed` bytes."""
    if len(payload) != needed:
        raise BadPayload(f"a payload of {len(payload)} bytes; this model needs {needed}")


def all_finite(x: npt.NDArray[np.float32]) -> bool:
    """No NaN and no infinity in `x`.

    A sum of squares is finite only if every number is, and costs half of looking at each one; where the squares
    overflow, each one is looked at.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(np.dot(x, x))
    return bool(np.isfinite(squares)) or bool(np.isfinite(x).all())
