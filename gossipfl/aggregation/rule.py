"""What a rule of aggregation takes and gives, and how it learns which array library it runs on.

A rule sees only differences: row j of z is neighbor j's public model minus mine, so I am the origin and no rule can
depend on where the models lie.  The daemon calls a rule with numpy arrays, the array engine under jax.jit and jax.vmap;
jax is imported only in the second case.  The table of rules is in __init__.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any                                   # numpy in the daemon, jax (traced, too) in the array engine
Vector: TypeAlias = npt.NDArray[np.float32]

SPAN = 16_384                                            # columns worked on at a time by numpy: 20 rows stay in cache


class Budget(NamedTuple):
    """What a rule must withstand.  Hashable, so that it can be a static argument of jax.jit."""

    byzantine_max: int = 0                               # liars among the neighbors
    clip_radius: float = 1.0                             # clipping: length beyond which a difference is shortened


class Correction(NamedTuple):
    """Where the neighbors pull me: the step of gamma = 1."""

    vector: Array                                        # (d,) float32
    kept: Array                                          # (n,) float32 in 0..1: how much of each difference entered


Rule: TypeAlias = Callable[[Array, Array, Budget], Correction]


class RuleSpec(NamedTuple):
    """A rule and the models, my own included, that its promise needs."""

    function: Rule                                       # z (n, d), w (n,), budget; a row of weight 0 is absent
    models_min: Callable[[int], int]                     # byzantine_max -> models


def on_host(z: Array) -> bool:
    """Numpy now, or jax (perhaps traced)?"""
    return isinstance(z, np.ndarray)


def differences(own: Vector, others: Sequence[Vector]) -> Vector:
    """z (n, d): each of `others` minus `own`, in memory that jax can read without a copy (64-byte aligned)."""
    n, d = len(others), own.size
    raw = np.empty(4 * n * d + 64, np.uint8)
    start = -raw.ctypes.data % 64
    z = raw[start : start + 4 * n * d].view(np.float32).reshape(n, d)
    with np.errstate(over="ignore"):                     # an infinite difference is for screen.py to refuse
        for row, other in zip(z, others, strict=True):
            np.subtract(other, own, out=row)
    return z
