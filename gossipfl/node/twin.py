"""My twin that learns alone: what I would be without my neighbors, and whether I would be better off.

    shard -> examples for both to train on | examples held back, on which the two are compared
    every `alone_every` rounds: the twin trains, then twin and I, after our local steps, classify what was held back

Collaboration is worth what it adds to the alone twin.  A twin that wins again and again says that my neighbors do harm,
whatever their models look like: no distance, no budget and no vote of theirs enters.  Decides what is held back and
what counts as a win; what follows from it is node/worker.py's business.

It is fair to me: both models are measured right after local steps, because averaging always moves a model away from its
own examples for a moment, and a win is a difference that is more than chance on so few examples.  With alone_every = 1
the twin is exact: the same examples, steps and batches, without mixing.  With K it has trained a K-th of my rounds, so
it is worse than I would be alone, and its win is evidence all the stronger; its defeat says less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gossipfl.config import AggregationConfig
from gossipfl.errors import DataError
from gossipfl.learning.data import Examples, Shard
from gossipfl.learning.learner import Learner, Resumable, Vector

HELD_BACK_SHARE = 0.1                            # guess; of the own training examples ...
HELD_BACK_MIN = 20                               # ... but so many, or one example would be worth more than 5 % ...
HELD_BACK_MAX = 1000                             # ... and no more: 2.7 points at an accuracy of 0.9 are a win then
EXAMPLES_MIN = 2 * HELD_BACK_MIN
_STREAM = 2                                      # of draws from the peer's own number: not those of its batches
_PREFIX = "twin."                                # of the twin's tensors in a checkpoint


@dataclass(frozen=True, slots=True)
class Comparison:
    """My twin and I on what was held back."""

    round: int
    mine: float                                  # accuracy, 0..1
    alone: float
    examples: int
    wins: int                                    # of the twin, in a row, this one included
    is_alarm: bool                               # it has won so often that somebody must be told

    @property
    def gain(self) -> float:
        """What my neighbors are worth to me, in accuracy."""
        return self.mine - self.alone


def told_of(compared: Comparison, is_isolated: bool) -> list[str]:
    """What the log says of a comparison: nothing unless there is an alarm."""
    if not compared.is_alarm:
        return []
    scores = f"{compared.alone:.4f} alone, {compared.mine:.4f} together, on {compared.examples} examples held back"
    end = (
        "isolated: from now on nothing is mixed, I go on with my twin's model and go on publishing; "
        "start again to try my neighbors once more"
        if is_isolated
        else 'still mixing; on_harm = "isolate" would stop that'
    )
    return [f"! harm: for {compared.wins} comparisons in a row I would do better alone ({scores}): {end}"]


def divide(shard: Shard, stream: int) -> tuple[Shard, Shard]:
    """My shard and my twin's: the same training examples, and for it to be measured on, some that neither trains on.

    The test set stays mine alone, and plays no part in any decision.  Raises DataError if there are too few examples.
    """
    count = len(shard.train)
    if count < EXAMPLES_MIN:
        raise DataError(
            f"a twin needs {EXAMPLES_MIN} training examples, of which {HELD_BACK_MIN} are held back, and there are "
            f"{count}: set aggregation.alone_every = 0, or bring more"
        )
    held = min(max(int(count * HELD_BACK_SHARE), HELD_BACK_MIN), HELD_BACK_MAX)
    order = np.random.default_rng((stream, _STREAM)).permutation(count)
    train, back = (_part(shard.train, np.sort(rows)) for rows in (order[held:], order[:held]))
    return Shard(train, shard.test), Shard(train, back)


def _part(examples: Examples, rows: Any) -> Examples:
    return Examples(examples.x[rows], examples.y[rows])


def own_part(shard: Shard, stream: int, rules: AggregationConfig) -> Shard:
    """What I train on: all of my examples, or what `divide` leaves of them where there is a twin."""
    return divide(shard, stream)[0] if rules.alone_every else shard


class Twin:
    """A learner that never mixes.  Made from the second shard of `divide`; owned by the learning thread."""

    def __init__(self, learner: Learner, rules: AggregationConfig) -> None:
        self._learner, self._every, self._patience = learner, rules.alone_every, rules.harm_rounds
        self._resumable = learner if isinstance(learner, Resumable) else None
        self._wins = 0

    def compare(self, round_: int, mine: Vector) -> Comparison | None:
        """Train if it is time, and hold the model `mine`, (d,), after its local steps, against the twin's."""
        if round_ % self._every:
            return None
        self._learner.train(round_)
        alone, vector = self._learner.evaluate(), self._learner.vector()
        self._learner.load(mine)
        together = self._learner.evaluate()
        self._learner.load(vector)
        count = alone.examples
        won = alone.accuracy - together.accuracy > _chance(alone.accuracy, together.accuracy, count)
        self._wins = self._wins + 1 if won else 0
        alarm = won and self._wins % self._patience == 0
        return Comparison(round_, together.accuracy, alone.accuracy, count, self._wins, alarm)

    def hand_over(self, heir: Learner) -> None:
        """Let `heir` go on as my twin would, from its parameters, with its optimizer's memory, and in its place.

        Two would be one too many, and the next start begins with the twin of the checkpoint: it must have learned all
        that the heir has.
        """
        heir.load(self._learner.vector())
        resumable = heir if isinstance(heir, Resumable) else None
        if self._resumable is not None and resumable is not None:
            resumable.restore(self._resumable.state())
        self._learner, self._resumable = heir, resumable

    def tensors(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of it."""
        state = self._resumable.state() if self._resumable is not None else {}
        named = {"vector": self._learner.vector()} | {f"state.{name}": np.asarray(one) for name, one in state.items()}
        return {_PREFIX + name: tensor for name, tensor in named.items()}

    def resume(self, tensors: dict[str, np.ndarray]) -> None:
        """Go on from a checkpoint's tensors; one without a twin lets it begin anew.  Its wins count from here."""
        own = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_PREFIX)}
        vector = own.pop("vector", None)
        if vector is None or vector.shape != (self._learner.size,):
            return
        self._learner.load(vector)
        if self._resumable is not None:
            self._resumable.restore({name.removeprefix("state."): tensor for name, tensor in own.items()})


def _chance(one: float, other: float, examples: int) -> float:
    """How far two equally good models may be apart on so many examples: two standard errors of the difference.

    One was too few: the same examples are asked every round, so luck comes back.  On digits, dirichlet 0.1, everybody
    honest, three of eight twins raised a false alarm over a single one of their 20 examples.
    """
    p = min(max((one + other) / 2, 1 / examples), 1 - 1 / examples)
    return 2 * math.sqrt(2 * p * (1 - p) / examples)
