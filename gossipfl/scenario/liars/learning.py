"""Crude attacks on learning: false models and false examples, told in perfect manners.

Screening and the aggregation rule are what stands against them; the protocol has nothing to object to.
Lies that hide among honest models are in crafted.py, poisoned examples with a purpose in backdoor.py, and attacks on
the protocol itself in updates.py, chunks.py and timing.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from gossipfl.config import Count
from gossipfl.protocol.peer import Peer
from gossipfl.protocol.setup import Setup
from gossipfl.scenario.around import Around
from gossipfl.scenario.liars.attack import Attack, Knock, Sight, Vector
from gossipfl.scenario.liars.search import WORST, Strength, at_strength, check_strength
from gossipfl.scenario.liars.timing import Misdater
from gossipfl.scenario.liars.witness import KEPT, Eyes, Poisoning

if TYPE_CHECKING:
    from gossipfl.learning.data import Shard
    from gossipfl.learning.learner import Learner, TrainReport


class SignFlip(Poisoning):
    """Show the own trained model with its sign turned and its length stretched: -scale * x (Li et al. 2019, RSA).

    A plain mean of n honest models and this one is (n - scale) / (n + 1) of the honest mean, so the default turns the
    sign of everybody's model for up to nine honest ones in a neighborhood (degree 6, or ten peers that all hear all).
    Far from every honest model: any robust rule.
    """

    unseen = "scale", 10.0
    scale: Strength = 10.0

    def __post_init__(self) -> None:
        check_strength("scale", self.scale)

    def craft(self, sight: Sight) -> Vector:
        return at_strength(sight, self, lambda scale: -np.float32(scale) * sight.own)


class BitFlip(Poisoning):
    """Undo what was learned, and as much again: before - scale * (own - before).

    What papers call bit flipping is -g, scale 1, of a gradient; a round's update is the gradient here.  Experiments
    that turn the model itself, -x, are `sign_flip` with scale 1.  Against it: momentum and any robust rule.
    """

    unseen = "scale", 1.0
    scale: Strength = 1.0

    def __post_init__(self) -> None:
        check_strength("scale", self.scale)

    def craft(self, sight: Sight) -> Vector:
        learned = sight.own - sight.before
        return at_strength(sight, self, lambda scale: sight.before - np.float32(scale) * learned)


class Gaussian(Poisoning):
    """Show the own trained model under normal noise of standard deviation `sigma` in each of its d coordinates.

    Blanchard et al. 2017.  Its length is about sigma sqrt(d): any rule that looks at distances.
    """

    unseen = "sigma", 10.0
    sigma: Strength = 10.0

    def __post_init__(self) -> None:
        check_strength("sigma", self.sigma)

    def craft(self, sight: Sight) -> Vector:
        noise = np.random.default_rng((sight.seed, sight.round)).standard_normal(len(sight.own), dtype=np.float32)
        return at_strength(sight, self, lambda sigma: sight.own + np.float32(sigma) * noise)


class FixedBias(Poisoning):
    """x + alpha ||x|| u, always in one direction u, the same for all liars: drift (Gabrielli and Tolomei 2026).

    They take alpha = 64 (unseen; 2.5 for their runs of 300 rounds) and ||x|| of the first round; here it is the length
    of the model that all begin with, for one that grew with the model would feed on itself.  u is of length 1, so a lie
    is alpha ||x|| off.  Their u is a "unit Gaussian": read as a draw of N(0, I) it would be sqrt(d), some hundred times
    longer, and leave nothing of a mean, whereas plain gossip loses about as much to theirs as to this one, 10 to 20
    points.  What a step too many cannot do, every round does a little of: rules that forget.  Against it: rules that
    drop or clip what is far.
    """

    unseen = "strength", 64.0
    strength: Strength = WORST
    direction: Count = 0                                 # a seed

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)

    def craft(self, sight: Sight) -> Vector:
        u = np.random.default_rng(self.direction).standard_normal(len(sight.own), dtype=np.float32)
        u *= (sight.start_norm or np.linalg.norm(sight.own)) / np.linalg.norm(u)      # all may begin with zeros
        return at_strength(sight, self, lambda alpha: sight.own + np.float32(alpha) * u)


class LabelFlip(Attack):
    """Learn the mirror image, class c as `classes - 1 - c`, and take part honestly in everything else.

    Biggio et al. 2012.  An honest model of other data: it looks like a peer of another opinion, and rules that drop
    what is far may drop honest minorities with it.
    """

    def shard(self, shard: Shard, classes: int) -> Shard:
        mirrored = (classes - 1 - shard.train.y).astype(shard.train.y.dtype)
        return replace(shard, train=replace(shard.train, y=mirrored))


class FreeRider(Poisoning):
    """Take part without work: it never trains.

    "echo" hands back the mean of what it heard (Fraboni et al. 2021, "plain"); "noise" takes its own model and adds
    noise as long as the honest ones are from it, in the median, so that it looks like work.  Harm: a peer too many in
    every mean.  Against it nothing but the alone twin, which shows what neighbors are worth.
    """

    what: Literal["echo", "noise"] = "echo"

    def learner(self, honest: Learner, seed: int, eyes: Eyes | None = None) -> Learner:
        return super().learner(Idle(honest), seed, eyes)

    def craft(self, sight: Sight) -> Vector:
        if self.what == "echo":
            return sight.center
        off = sight.crowd - sight.before
        length = float(np.median(np.sqrt(np.einsum("cd,cd->c", off, off))))
        noise = np.random.default_rng((sight.seed, sight.round)).standard_normal(len(sight.own), dtype=np.float32)
        return sight.before + np.float32(length / np.linalg.norm(noise)) * noise


class Stale(Poisoning):
    """Show a model of `age` rounds ago as this round's: properly signed, numbered as new, and behind the times.

    Where fewer rounds are over, the oldest there is.  Harm: it holds everybody back.  `claims` is added to the number
    of the round under which it is announced.  Against it the rule only, as far as an old model is a far one; of the
    numbers the median counts.
    """

    age: Count = 5                                       # at most KEPT
    claims: int = 0

    def __post_init__(self) -> None:
        if self.age > KEPT:
            raise ValueError(f"age must be at most {KEPT} rounds, is {self.age}")

    def craft(self, sight: Sight) -> Vector:
        if not self.age:
            return sight.own
        return (sight.past[: self.age] or (sight.before,))[-1]

    def peer(self, setup: Setup, now: float, knock: Knock) -> Peer:
        return Misdater(setup, now, self.claims) if self.claims else Peer(setup, now)


class Idle(Around):
    """A learner that says it has trained."""

    def __init__(self, honest: Learner) -> None:
        super().__init__(honest, "gauge")

    def train(self, round: int) -> TrainReport:
        from gossipfl.learning.learner import TrainReport

        return TrainReport(loss=0.0, steps=0, examples=1)
