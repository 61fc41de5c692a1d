"""Lies made from honest models: close enough to pass for one of them, and all in one direction.

mu and sigma are the mean and the spread of the crowd (Sight.crowd), coordinate by coordinate.  Each is the paper's
formula with models in the place of gradients; "worst" is found by search.py.  What stands against them is the rule and
no check: every one of these models is finite, signed and of believable size.  Cruder lies are in learning.py.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gossipfl.config import Positive
from gossipfl.scenario.liars.attack import Notes, Sight, Vector
from gossipfl.scenario.liars.search import LONG_GRID, WORST, Strength, at_strength, check_strength
from gossipfl.scenario.liars.witness import Poisoning

Doubles = npt.NDArray[np.float64]


class Alie(Poisoning):
    """mu - z sigma: each coordinate at the edge of the honest spread ("a little is enough", Baruch et al. 2019).

    z is the strength; unseen 1.5, as byzfl takes it.  What the paper computes from n and m is `alie_z`.  Against it:
    momentum, which narrows the spread, and mixing of nearest neighbors (nnm) before a rule that trims.
    """

    unseen = "strength", 1.5
    strength: Strength = WORST

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)

    def craft(self, sight: Sight) -> Vector:
        mu, sigma = sight.center, sight.spread
        return at_strength(sight, self, lambda z: mu - np.float32(z) * sigma)


def alie_z(n: int, m: int) -> float:
    """The z of Baruch et al. 2019 for m liars of n: so many honest models lie farther out that a majority seems to.

    0 where that would be half of the honest or more, as for 2 liars of 10: the formula is one for large n.
    """
    supporters = n // 2 + 1 - m
    share = (n - m - supporters) / (n - m)
    return max(NormalDist().inv_cdf(min(share, 1 - 1 / (2 * n))), 0.0) if share > 0 else 0.0


class Ipm(Poisoning):
    """-epsilon mu, so that the mix has a negative inner product with what is wanted (Xie et al. 2019; "FOE").

    of: "model", as decentralized experiments do it (He et al. 2022), or "update", as a server's gradients want it:
    before - epsilon (mu - before).  epsilon is the strength; unseen 0.1, their value against distance rules.  Against
    it: rules that drop or clip what is far; a coordinate rule gives way where epsilon is small.
    """

    unseen = "strength", 0.1
    strength: Strength = WORST
    of: Literal["model", "update"] = "model"

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)

    def craft(self, sight: Sight) -> Vector:
        origin = sight.before if self.of == "update" else np.zeros_like(sight.own)
        wanted = sight.center - origin
        return at_strength(sight, self, lambda epsilon: origin - np.float32(epsilon) * wanted)


class Mimic(Poisoning):
    """Copy one honest peer, always the same, whom all liars thereby make heavier (Karimireddy, He, Jaggi 2022).

    In the rounds of a warm-up they estimate the direction z in which the crowd differs most, by Oja's rule, and copy
    whoever stands out most along it, |z^T (x_i - mu)|; the choice of the last of these rounds stands from then on.
    Were it made anew each round, the tilt would average out.  One round is the warm-up of the published experiments.
    All liars keep to the first that they agreed on; who does not see that peer, or no longer, chooses by z among those
    in sight, and others who do not see it either follow.

    Departures: mu is the mean of the round and not of all rounds so far, because models, unlike gradients, move on
    together; the first z is exact and no random vector after one step; distances are from mu and count on both sides,
    where the published code takes the greatest z^T x_i.

    Harmless where all hold similar data; under label skew it tilts every rule that picks or counts.  Against it:
    bucketing, centered clipping; no check, for nothing about it is false but the signature under it.
    """

    warm_up_rounds: Positive = 1

    def craft(self, sight: Sight) -> Vector:
        crowd = sight.crowd
        names, notes = (sight.names, sight.notes) if sight.names and sight.notes else (_places(crowd), Notes())
        copied = notes.pact.first(names)
        if copied is None:
            off = crowd - sight.center
            self._look(notes, sight.round, off)
            if notes.along is None:                      # nobody differs, or I see nobody but myself
                return np.array(crowd[0])
            copied = names[np.argmax(np.abs(off @ notes.along))]
            if notes.rounds >= self.warm_up_rounds:
                notes.pact.add(copied)
        return np.array(crowd[names.index(copied)])

    def _look(self, notes: Notes, round: int, off: Vector) -> None:
        """z <- t/(t + 1) z + 1/(t + 1) C z / ||C z||, made unit; C z = sum_i (x_i - mu) (x_i - mu)^T z.

        Once a round, however many liars share the notes.
        """
        if round <= notes.newest or notes.rounds >= self.warm_up_rounds:
            return
        z = principal(off) if notes.along is None else _unit((off @ notes.along) @ off)
        if not z.any():                                  # nobody differs
            return
        if notes.along is not None:
            z = _unit(np.float32(notes.rounds) * notes.along + z)
        notes.along, notes.rounds, notes.newest = z, notes.rounds + 1, round


class MinMax(Poisoning):
    """mu + gamma p with the largest gamma at which no honest model is farther off than two honest ones are apart.

    Shejwalkar and Houmansadr 2021.  p: "std" is -sigma, "sign" -sign(mu), "unit" -mu / ||mu||.  Against it: what helps
    against alie; distances give it away nowhere, by construction.
    """

    direction: Literal["std", "sign", "unit"] = "std"

    def craft(self, sight: Sight) -> Vector:
        crowd, mu, p = sight.crowd, sight.center, _direction(self.direction, sight)
        c = float(p @ p)
        if not c:
            return mu
        off = crowd - mu
        room = _squared_distances(crowd).max() - _squares(off)           # (c,) of ||x - x_j||^2, all at least 0
        b = (off @ p).astype(np.float64)                                 # gamma^2 c - 2 gamma b = room, for each j
        gamma = ((b + np.sqrt(b**2 + c * np.maximum(room, 0))) / c).min()
        return mu + np.float32(gamma) * p


class MinSum(Poisoning):
    """As min_max, but the squared distances to all honest models together are at most what they are for an honest one.

    Shejwalkar and Houmansadr 2021.  Stays nearer than min_max; against rules that add distances up, as Krum does.
    """

    direction: Literal["std", "sign", "unit"] = "std"

    def craft(self, sight: Sight) -> Vector:
        crowd, mu, p = sight.crowd, sight.center, _direction(self.direction, sight)
        c = len(crowd) * float(p @ p)
        if not c:
            return mu
        room = _squared_distances(crowd).sum(axis=1).max() - _squares(crowd - mu).sum()
        return mu + np.float32(np.sqrt(max(room, 0.0) / c)) * p


class Dissensus(Poisoning):
    """x_i - epsilon sum_j w_ij (x_j - x_i) / (the liars' weight), j honest: undo what gossip would bring together.

    He, Karimireddy and Jaggi 2022, whose epsilon is 1.5 (unseen); at 1 a plain mean does not move at all.  One lie
    for everybody is made for the one on whom it is measured, or else for the one that is farthest from the center.
    Among daemons a liar knows neither that peer's neighbors nor its weights, and takes them for those of a complete
    graph of all that it has heard; on another graph its lie is not the one of the formula.
    Against it: self-centered clipping, as far as the graph has a budget.
    """

    unseen = "strength", 1.5
    strength: Strength = WORST

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)

    def craft(self, sight: Sight) -> Vector:
        aim, pull = _pull(sight)
        return at_strength(sight, self, lambda epsilon: aim - np.float32(epsilon) * pull)


class Spectral(Poisoning):
    """x_i + s (v_F)_i (v_F^T X): push both sides of the honest graph's weakest cut apart (Gaucher et al. 2025).

    v_F is the Fiedler vector of the honest graph, X all honest models.  Who does not know the graph pushes along the
    direction in which the crowd differs most.  s is the strength; unseen 1, a doubling of what already parts them.  The
    worst against rules that rank by distance is small: who lies near passes for the nearest friend.
    The strongest that knows the topology; against it stands a graph with mu > 4 b and cs_plus.
    """

    unseen = "strength", 1.0
    strength: Strength = WORST

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)

    def craft(self, sight: Sight) -> Vector:
        aim, along = sight.aim, _along(sight) if sight.along is None else sight.along
        return at_strength(sight, self, lambda s: aim + np.float32(s) * along, LONG_GRID)


class Sybil(Poisoning):
    """Several identities, one lie: alie's mu - z sigma, and so little noise between them that they look alike.

    noise: of sigma, each identity's own in each round.  A rule that trusts in numbers (Krum, a median) takes the
    tightest cluster for the truth; unseen z 1.5.  Against it: a budget that counts identities, and admission that makes
    them dear (federation.py); no rule can tell them from honest peers of one mind.
    """

    unseen = "strength", 1.5
    strength: Strength = WORST
    noise: float = 0.01

    def __post_init__(self) -> None:
        check_strength("strength", self.strength)
        if not 0.0 <= self.noise < float("inf"):
            raise ValueError(f"noise must be finite and not negative, is {self.noise}")

    def craft(self, sight: Sight) -> Vector:
        mu, sigma = sight.center, sight.spread
        lie = at_strength(sight, self, lambda z: mu - np.float32(z) * sigma)
        dice = np.random.default_rng((sight.seed, sight.round))
        return lie + np.float32(self.noise) * sigma * dice.standard_normal(len(lie), dtype=np.float32)


# -------------------------------------------------------------------------------------------------------- geometry


def principal(crowd: Vector) -> Vector:
    """(d,) unit: the direction in which the models of crowd (c, d) differ most; zeros where they do not differ.

    By the (c, c) products of the centered models, exact and cheap for few models of many parameters.  It points to the
    side of the model that stands out most.
    """
    off = crowd - crowd.mean(axis=0)
    places = np.linalg.eigh((off @ off.T).astype(np.float64))[1][:, -1]
    along = (places * np.sign(places[np.argmax(np.abs(places))])).astype(np.float32) @ off
    return _unit(along)


def _unit(vector: npt.NDArray[Any]) -> Vector:
    """(d,) of length 1; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / np.float32(length) if length else vector, np.float32)


def _places(crowd: Vector) -> tuple[str, ...]:
    """Names for models whose owners are not known."""
    return tuple(map(str, range(len(crowd))))


def _direction(name: str, sight: Sight) -> Vector:
    """(d,): where min_max and min_sum go from the mean."""
    mu = sight.center
    if name == "std":
        return -sight.spread
    if name == "sign":
        return np.negative(np.sign(mu))
    length = float(np.linalg.norm(mu))
    return np.negative(mu / np.float32(length)) if length else mu


def _squares(rows: Vector) -> Doubles:
    """||row||^2 of each, (c,) float64."""
    return np.asarray(np.einsum("cd,cd->c", rows, rows, dtype=np.float64))


def _squared_distances(crowd: Vector) -> Doubles:
    """(c, c), row by row, so that no (c, c, d) is made."""
    return np.stack([_squares(crowd - one) for one in crowd])


def _pull(sight: Sight) -> tuple[Vector, Vector]:
    """Of dissensus: x_i (d,), and sum_j w_ij (x_j - x_i) over the liars' weight (d,)."""
    aim, honest, weights = sight.aim, sight.honest, sight.weights
    if sight.victim is None and sight.aimed is None and len(honest):
        aim = honest[np.argmax(_squares(honest - aim))]
    if not len(honest) or not sight.share:
        return aim, np.zeros_like(aim)
    return aim, (weights @ honest - weights.sum() * aim) / np.float32(sight.share)


def _along(sight: Sight) -> Vector:
    """(d,): in the place of v_F what can be seen without the graph; as long as the crowd is spread along it."""
    along = principal(sight.crowd)
    return np.asarray(along * np.float32((sight.crowd @ along).std()), np.float32)
