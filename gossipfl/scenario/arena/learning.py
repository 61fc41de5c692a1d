"""Local training of all peers of the arena in one dispatch a round, and how good their models are.

The same steps as a daemon's learner (learning/steps.py), mapped over peers: momentum and Adam's moments stay with each
peer.  All examples lie in one table; a peer's part is a list of its rows, and the poisoned examples of liars are
appended.  One peer after the other (`lax.map`), not all at once: with a weight matrix per peer, a batched product is
slower on CPUs than keeping one peer's weights in the cache.  Who mixes with whom is rounds.py's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from gossipfl.config import ModelConfig, TrainingConfig
from gossipfl.learning.data import Examples, Shard
from gossipfl.learning.jax_learner import draw_batches
from gossipfl.learning.models import MODELS, Params
from gossipfl.learning.optimizer import initial_state, optimizer
from gossipfl.learning.steps import EVALUATE_ROWS, cross_entropy, evaluation, to_floats, train_steps
from gossipfl.learning.vector import Layout
from gossipfl.scenario.liars.attack import Attack, Vector

Rows = npt.NDArray[np.intp]
Noisy = Callable[[Params, jax.Array, jax.Array], jax.Array]          # params, x, key -> logits, with dropout
LOSS_ROWS = 4 * EVALUATE_ROWS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What is learned, from which examples, and by whom."""

    model: ModelConfig
    training: TrainingConfig
    train: Examples
    test: Examples
    parts: tuple[Rows, ...]                              # per peer its rows of `train`
    seed: int = 0

    @property
    def layout(self) -> Layout:
        return Layout.of(MODELS[self.model.name].init(self.model, self.seed))

    def start(self) -> Vector:
        """(d,) the model that everybody begins with."""
        params = MODELS[self.model.name].init(self.model, self.seed)
        return np.asarray(Layout.of(params).flatten(params), np.float32)


def poisoned(task: Task, attacks: Mapping[int, Attack]) -> Task:
    """The same task after the liars among the peers have bent their examples."""
    train, parts = task.train, list(task.parts)
    for peer, attack in sorted(attacks.items()):
        mine = Examples(task.train.x[parts[peer]], task.train.y[parts[peer]])
        bent = attack.shard(Shard(mine, task.test), task.model.classes).train
        if bent is mine:
            continue
        parts[peer] = len(train) + np.arange(len(bent))
        x = bent.x if bent.x.dtype == train.x.dtype else np.rint(255 * bent.x).astype(train.x.dtype)
        train = Examples(np.concatenate([train.x, x]), np.concatenate([train.y, bent.y]))
    return Task(
        model=task.model, training=task.training, train=train, test=task.test, parts=tuple(parts), seed=task.seed
    )  # fmt: skip


class Learners:
    """All peers' optimizers and their examples on the device; a trainer of rounds.py."""

    def __init__(self, task: Task) -> None:
        self.task = task
        layout = task.layout
        fresh = initial_state(optimizer(task.training), layout.unflatten(task.start()))
        self._state: Any = jax.tree.map(lambda leaf: np.stack([leaf] * len(task.parts)), fresh)
        self._x, self._y = jax.device_put(task.train.x), jax.device_put(task.train.y)
        self._train = _training(task.model, task.training, layout)
        self._measure = _measuring(task.model, layout)

    def __call__(self, models: Vector, round: int) -> Vector:
        """models (n, d) after one round of local steps."""
        batches, steps = self._batches(round)
        # A copy goes in, because it is given away, and one comes out, because the next round writes into it.
        trained, self._state = self._train(np.array(models), self._state, batches, steps, self._x, self._y)
        return np.array(trained)

    def losses(self, peer: int, round: int, models: Vector) -> Vector:
        """(k,) mean loss of models (k, d) on some of the peer's own examples, drawn by the round."""
        dice = np.random.default_rng((self.task.seed, peer, round, 1))
        rows = dice.choice(self.task.parts[peer], LOSS_ROWS)
        _, loss_sums = self._measure(models, self._x[rows], self._y[rows], LOSS_ROWS)
        return np.asarray(loss_sums, np.float32) / np.float32(LOSS_ROWS)

    def _batches(self, round: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Rows of every peer's batches (n, S, B) and the number of its steps (n,)."""
        drawn = [
            draw_batches((self.task.seed, peer, round), len(part), self.task.training)
            for peer, part in enumerate(self.task.parts)
        ]
        most = max(steps for _, steps in drawn)
        batches = np.zeros((len(drawn), most, self.task.training.batch_size), np.int32)
        for peer, ((local, steps), part) in enumerate(zip(drawn, self.task.parts, strict=True)):
            batches[peer, :steps] = part[local[:steps]]
        return batches, np.array([steps for _, steps in drawn], np.int32)


class Gradients:
    """Slopes of every client's loss at one shared model, for the server setting of published tables.

    `noisy` is the model as it is trained, where that is not as it is judged.
    """

    def __init__(self, task: Task, noisy: Noisy | None = None) -> None:
        self.task = task
        self._x, self._y = jax.device_put(task.train.x), jax.device_put(task.train.y)
        self._slopes = _differentiating(task.model, task.layout, noisy)

    def __call__(self, vector: Vector, round: int) -> Vector:
        """(n, d) each client's gradient at `vector` (d,) on its batch of this round."""
        size = self.task.training.batch_size
        rows = np.stack([
            part[np.random.default_rng((self.task.seed, client, round)).integers(len(part), size=size)]
            for client, part in enumerate(self.task.parts)
        ]).astype(np.int32)  # fmt: skip
        dice = np.random.default_rng((self.task.seed, round, 2))
        keys = dice.integers(2**32, size=(len(rows), 2), dtype=np.uint32)
        return np.array(self._slopes(vector, rows, keys, self._x, self._y))


class Judge:
    """Accuracy of models on the first `count` rows of a test set that has been shuffled once, all of it by default."""

    def __init__(self, task: Task, test: Examples | None = None, count: int | None = None) -> None:
        test = task.test if test is None else test
        order = np.random.default_rng(0).permutation(len(test))[:count]
        self._count = len(order)
        padding = -len(order) % EVALUATE_ROWS
        rows = np.concatenate([order, np.repeat(order[:1], padding)])
        self._x, self._y = jax.device_put(test.x[rows]), jax.device_put(test.y[rows])
        self._measure = _measuring(task.model, task.layout)

    def __call__(self, models: Vector | Sequence[Vector]) -> npt.NDArray[np.float64]:
        """(n,) accuracies in 0..1 of models (n, d)."""
        stacked = np.asarray(models, np.float32)
        correct, _ = self._measure(stacked, self._x, self._y, self._count)
        return np.asarray(correct, np.float64) / self._count


# Programs are kept for the next match of the same shapes: compiling takes as long as a small match.


@lru_cache(maxsize=16)
def _training(model: ModelConfig, training: TrainingConfig, layout: Layout) -> Any:
    """(models, states, batches, steps, x, y) -> (models, states), peer by peer."""
    train = train_steps(model, training, layout)

    def everybody(models: Any, state: Any, batches: Any, steps: Any, x: Any, y: Any) -> Any:
        def one(peer: Any) -> tuple[Any, Any]:
            vector, state, batches, steps = peer
            trained = train(vector, state, x, y, batches, steps)
            return trained.vector, trained.state

        return jax.lax.map(one, (models, state, batches, steps))

    return jax.jit(everybody, donate_argnums=(0, 1))


@lru_cache(maxsize=16)
def _measuring(model: ModelConfig, layout: Layout) -> Any:
    """(models, x, y, count) -> (correct, summed loss) of each on the first `count` rows."""
    evaluate = evaluation(model, layout)
    return jax.jit(lambda models, x, y, count: jax.lax.map(lambda one: evaluate(one, x, y, count), models))


@lru_cache(maxsize=16)
def _differentiating(model: ModelConfig, layout: Layout, noisy: Noisy | None) -> Any:
    """(vector, rows (n, B), keys (n, 2), x, y) -> slopes (n, d)."""
    apply = MODELS[model.name].apply

    def everybody(vector: Any, rows: Any, keys: Any, x: Any, y: Any) -> Any:
        def one(client: Any) -> Any:
            mine, key = client

            def loss(params: Any) -> Any:
                examples = to_floats(x[mine])
                logits = apply(params, examples) if noisy is None else noisy(params, examples, key)
                return cross_entropy(logits, y[mine]).mean()

            return layout.flatten(jax.grad(loss)(layout.unflatten(vector)), jnp)

        # Dense layers of one model are one product for all clients; convolutions are faster client by client.
        return jax.vmap(one)((rows, keys)) if len(model.inputs) == 1 else jax.lax.map(one, (rows, keys))

    return jax.jit(everybody)
