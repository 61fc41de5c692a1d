"""A learner of your own, in plain NumPy: softmax regression by stochastic gradient descent.

Any framework will do, as long as its parameters can be read and written as one float32 vector.  Name the factory in
the federation, with this folder on PYTHONPATH:

    [model]
    name = "custom"
    learner = "numpy_softmax:build"
    inputs = [64]
    classes = 10

or try it on one node with `gossipfl node --learner numpy_softmax:build`.
"""

from __future__ import annotations

from math import prod

import numpy as np
import numpy.typing as npt

from gossipfl.learning.learner import Learner, LearnerContext, Metrics, TrainReport

Floats = npt.NDArray[np.float32]


def build(context: LearnerContext) -> Learner:
    """What gossipfl calls, once, before the first round."""
    return NumpySoftmax(context)


class NumpySoftmax:
    """One matrix of weights (features, classes); the last feature is the constant 1, so its row is the bias."""

    def __init__(self, context: LearnerContext) -> None:
        self._training, self._seed = context.training, (context.seed, context.stream)
        self._train_x, self._train_y = with_bias(context.shard.train.x), context.shard.train.y
        self._test_x, self._test_y = with_bias(context.shard.test.x), context.shard.test.y
        # Every peer must begin with the same vector: zeros, or numbers drawn from context.seed and nothing else.
        self._weights = np.zeros((prod(context.model.inputs) + 1, context.model.classes), np.float32)

    @property
    def size(self) -> int:
        return self._weights.size

    def vector(self) -> Floats:
        return self._weights.flatten()                  # a copy

    def load(self, vector: Floats) -> None:
        self._weights = vector.reshape(self._weights.shape).copy()

    def train(self, round: int) -> TrainReport:
        # A generator of its own for each round: a node that resumes repeats the round exactly.
        order = np.random.default_rng((*self._seed, round)).permutation(len(self._train_y))
        batches = np.array_split(order, -(-len(order) // self._training.batch_size))
        losses = [self._step(self._train_x[batch], self._train_y[batch]) for batch in batches]
        return TrainReport(float(np.mean(losses)), len(batches), len(order))

    def evaluate(self) -> Metrics:
        logits = self._test_x @ self._weights
        accuracy = float((logits.argmax(axis=1) == self._test_y).mean())
        return Metrics(accuracy, cross_entropy(softmax(logits), self._test_y), len(self._test_y))

    def _step(self, x: Floats, y: npt.NDArray[np.int32]) -> float:
        """One step down the gradient of the mean loss on a batch; returns that loss."""
        chances = softmax(x @ self._weights)            # (B, classes)
        loss = cross_entropy(chances, y)
        chances[np.arange(len(y)), y] -= 1              # now the gradient with respect to the logits
        self._weights -= np.float32(self._training.learning_rate / len(y)) * (x.T @ chances)
        return loss


def with_bias(x: Floats) -> Floats:
    """(n, ...) flattened to (n, features), with a column of ones."""
    flat = x.reshape(len(x), -1)
    return np.hstack([flat, np.ones((len(flat), 1), np.float32)])


def softmax(logits: Floats) -> Floats:
    exponentials: Floats = np.exp(logits - logits.max(axis=1, keepdims=True))
    exponentials /= exponentials.sum(axis=1, keepdims=True)
    return exponentials


def cross_entropy(chances: Floats, y: npt.NDArray[np.int32]) -> float:
    return float(-np.log(chances[np.arange(len(y)), y] + 1e-12).mean())
