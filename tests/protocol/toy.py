"""What the peers of these tests train: float32 vectors that are pulled towards a target of their own."""

import numpy as np

from gossipfl.learning.learner import Metrics, TrainReport


class Toy:
    """A learner without data: each round goes a fifth of the way to `target`, the same way every time."""

    def __init__(self, target, seed=0):
        """target (d,) float32."""
        self.target = np.asarray(target, np.float32)
        self._vector = np.random.default_rng(seed).normal(size=self.target.size).astype(np.float32)
        self.trained = []                                # rounds

    @property
    def size(self):
        return self.target.size

    def vector(self):
        return self._vector.copy()

    def load(self, vector):
        self._vector = np.array(vector, np.float32)

    def train(self, round):
        self.trained.append(round)
        self._vector += np.float32(0.2) * (self.target - self._vector)
        return TrainReport(loss=0.0, steps=1, examples=10)

    def evaluate(self):
        return Metrics(accuracy=0.0, loss=float(np.square(self._vector - self.target).mean()), examples=1)
