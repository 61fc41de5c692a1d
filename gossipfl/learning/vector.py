"""Parameters as one flat float32 vector and back: the common language of learner, codec, rule and wire.

Order is the order of the names as `init` makes them, each array in C order.  Works on NumPy arrays and, inside a
jitted function, on JAX's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Layout:
    """Which part of a vector is which array.  Hashable, so that compiled programs can be keyed by it."""

    arrays: tuple[tuple[str, tuple[int, ...]], ...]     # name and shape, in the vector's order

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Layout:
        return cls(tuple((name, tuple(array.shape)) for name, array in params.items()))

    @property
    def size(self) -> int:
        """d, the length of the vector."""
        return sum(prod(shape) for _, shape in self.arrays)

    def flatten(self, params: Mapping[str, Any], xp: ModuleType = np) -> Any:
        """(d,) of all arrays; `xp` is numpy or jax.numpy."""
        return xp.concatenate([params[name].reshape(-1) for name, _ in self.arrays])

    def unflatten(self, vector: Any) -> dict[str, Any]:
        """The named arrays in a vector (d,); views where the library has views."""
        assert vector.shape == (self.size,), f"vector of shape {vector.shape} for {self.size} parameters"
        params, start = {}, 0
        for name, shape in self.arrays:
            params[name] = vector[start : start + prod(shape)].reshape(shape)
            start += prod(shape)
        return params
