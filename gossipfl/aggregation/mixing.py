"""From what is measured of the members to what is done with their rows: the part of a rule that is not of size d.

    see(z, w)  ->  Seen  ->  decide  ->  Sum: c, kept            ->  sum_j c_j z_j
                                     ->  Ranking: A, chosen      ->  ranks of the chosen rows of A {0, z}

Runs alike on what members.py measured by numpy or jax, and on what everyone.py measured for each of many peers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from gossipfl.aggregation.geometry import FAR
from gossipfl.aggregation.rule import About, Array, Budget, Looks, PreSpec, Ranks, RuleSpec, Seen, library
from gossipfl.aggregation.table import Recipe


class Sum(NamedTuple):
    """The correction is sum_j c_j z_j + own * own_update."""

    c: Array                                             # (n,)
    kept: Array                                          # (n,)
    own: Any = None                                      # None: no rule that looks at my update


class Ranking(NamedTuple):
    """The correction ranks, in every coordinate, the chosen rows of A {0, z}; without A, of {0, z}."""

    chosen: Array                                        # (m',) bool
    ranks: Ranks
    matrix: Array | None = None                          # (m', m)


Decision: TypeAlias = Sum | Ranking


def looks_of(chosen: Recipe) -> frozenset[Looks]:
    """What must be measured."""
    looks: Looks = chosen.spec.looks
    if looks == "steps":                                                   # the first step from me needs lengths alone
        looks = "gram" if chosen.budget.clip_steps > 1 else "lengths"
    also: set[Looks] = {"gram"} if chosen.steps else {"lengths"} if looks == "own" else set()
    return frozenset({looks} | also)


def decide(chosen: Recipe, seen: Seen, about: About) -> Decision:
    """What a rule does with these members."""
    spec, budget = chosen.spec, chosen.budget
    if spec.weigh is not None:
        weighed = spec.weigh(seen, budget, about)
        return Sum(_near(seen, weighed.c), weighed.kept, weighed.own if spec.looks == "own" else None)
    matrix, here = prepared(chosen.steps, budget, seen.gram, seen.here, about)
    entering = here
    if spec.choose is not None:
        gram = _measured(spec, seen)
        entering = spec.choose(gram if matrix is None else matrix @ gram @ matrix.T, here, budget, about)
    if spec.ranks is not None:
        return Ranking(entering > 0, spec.ranks, matrix)
    c = entering if matrix is None else entering @ matrix                 # (m,)
    return Sum(_near(seen, c[1:]), kept_of(c, seen.here))


def kept_of(c: Array, here: Array) -> Array:
    """How much of each neighbor entered: its coefficient beside that of the plain average, at most 1, (n,)."""
    xp = library(c)
    return xp.clip(c[1:] * here.sum(), 0, 1)


def _measured(spec: RuleSpec, seen: Seen) -> Array:
    """The Gram matrix that a set rule looks at; its diagonal where nothing else was measured."""
    if spec.looks == "samples":
        return seen.samples
    if seen.gram is not None:
        return seen.gram
    xp = library(seen.w)
    lengths = xp.concatenate([xp.zeros_like(seen.lengths, shape=1), xp.where(seen.w > 0, seen.lengths, 0)])
    return xp.diag(xp.minimum(lengths**2, FAR))


def prepared(
    steps: Sequence[PreSpec], budget: Budget, gram: Array, here: Array, about: About
) -> tuple[Array | None, Array]:
    """The matrix of all that is done before, None for nothing, and which of the new members are there."""
    matrix = None
    for spec in steps:
        step = spec.matrix(gram, here, budget, about)
        matrix = step if matrix is None else step @ matrix
        gram, here = step @ gram @ step.T, spec.here_after(step, here)
    return matrix, here


def _near(seen: Seen, c: Array) -> Array:
    """Coefficients without those of members that are FAR: of them no length was measured that could be trusted."""
    if seen.gram is None:
        return c
    xp = library(c)
    return xp.where(xp.diagonal(seen.gram)[1:] >= FAR, 0, c)
