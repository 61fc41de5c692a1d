"""Which neighbors' differences are numbers that a rule may see: finite, and not absurdly far away.

This is the last check of what a peer sent and the first of what it means: no rule sees a row that fails it.  The bound
is no defense (rules are), it keeps float32 arithmetic meaningful and catches broken peers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gossipfl.aggregation.rule import Vector

_SPAN = 1_048_576                                        # numbers summed in float32 before the sum goes to a float


class Screened(NamedTuple):
    """The verdict on each row."""

    keep: npt.NDArray[np.bool_]                          # (n,)
    reasons: list[str | None]                            # why a row was refused, None where it was not
    distances: list[float]                               # length of each row; nan or inf where it is none


def screen(z: Vector, own_norm: float, distance_ratio_max: float) -> Screened:
    """Keep row z_j (of n, d) if it is finite and |z_j| <= distance_ratio_max * (1 + own_norm)."""
    limit = distance_ratio_max * (1 + own_norm)
    distances = [norm(row) for row in z]
    reasons = [_reason(distance, limit) for distance in distances]
    return Screened(np.array([reason is None for reason in reasons], bool), reasons, distances)


def _reason(distance: float, limit: float) -> str | None:
    if not math.isfinite(distance):
        return "numbers that are not finite"
    return f"distance {distance:.3g} over the limit of {limit:.3g}" if distance > limit else None


def norm(x: Vector) -> float:
    """The length of x, (d,); nan or inf if and only if a number in x is."""
    return math.sqrt(inner(x, x))


def inner(a: Vector, b: Vector) -> float:
    """The inner product of a and b, (d,); nan or inf only if a number in them is.

    One pass in float32, at the speed of memory.  Where that overflows, a second one in float64, in which no product of
    two float32 does.
    """
    spans = [slice(start, start + _SPAN) for start in range(0, len(a), _SPAN)]
    with np.errstate(over="ignore", invalid="ignore"):
        total = sum(float(np.dot(a[span], b[span])) for span in spans)
        if not math.isfinite(total):
            total = sum(float(np.dot(a[span].astype(np.float64), b[span].astype(np.float64))) for span in spans)
    return total
