"""A learner around another: it does everything as that one does, but for what a subclass changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gossipfl.learning.learner import Learner, Metrics, TrainReport

Vector = npt.NDArray[np.float32]


class Around:
    """`lent` names what it can do besides learning, such as `gauge`, if the learner inside can; not all can."""

    def __init__(self, inside: Learner, *lent: str) -> None:
        self.inside = inside
        for name in lent:
            if hasattr(inside, name):
                setattr(self, name, getattr(inside, name))

    @property
    def size(self) -> int:
        return self.inside.size

    def vector(self) -> Vector:
        return self.inside.vector()

    def load(self, vector: Vector) -> None:
        self.inside.load(vector)

    def train(self, round: int) -> TrainReport:
        return self.inside.train(round)

    def evaluate(self) -> Metrics:
        return self.inside.evaluate()
