"""How strong a lie should be: the worst strength that a line search finds against the rule that the liar faces.

    harm(s) = || respond(lie(s)) - target ||,   target = respond(the mean of the crowd)

The target is where the victim would go if the liars showed what the honest hold on average.  (Published code that
leaves the target out looks for the longest answer instead of the most wrong one.)  Harm grows with s until a rule sees
through the lie, and may then fall to nothing: so first a geometric grid, then golden section around its best value.
Where a rule picks models, harm has several peaks, and the best may lie between two of the grid: steps of the square
root of 2 find 99 to 100 % of the harm on average (steps of 2 miss more).  Which way a lie points is the attack's own
matter; 29 answers of the victim are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np

from gossipfl.scenario.liars.attack import Attack, Sight, Vector

WORST: Final = "worst"
Strength = float | Literal["worst"]                      # a number, or the worst that a search finds
GRID = tuple(0.0625 * 2 ** (k / 2) for k in range(21))   # 1/16 ... 64; against a plain mean the last is the worst
LONG_GRID = tuple(2.0**k for k in range(-13, 7))         # for a lie whose unit is a whole cut's: the worst may be tiny
_GOLDEN = (5**0.5 - 1) / 2
_REFINEMENTS = 5                                         # each leaves 0.62 of the interval: to about 1 part in 40

Lie = Callable[[float], Vector]
Harm = Callable[[float], float]


def at_strength(sight: Sight, attack: Attack, lie: Lie, grid: Sequence[float] = GRID) -> Vector:
    """`lie` (d,) at the strength that is asked of `attack`; "worst" may be one that stands for it, `attack.unseen`."""
    assert attack.unseen is not None, "an attack without a strength"
    option, unseen = attack.unseen
    strength: Strength = getattr(attack, option)
    if strength != WORST:
        return lie(float(strength))
    if sight.respond is None:
        return lie(unseen)
    return lie(worst(harm_of(sight, lie), grid))


def harm_of(sight: Sight, lie: Lie) -> Harm:
    """How far from where it should go the victim is led by `lie` at a strength.  Needs sight.respond."""
    respond = sight.respond
    assert respond is not None, "nobody can be asked"
    target = respond(sight.center).astype(np.float64)

    def harm(strength: float) -> float:
        away = respond(lie(strength)) - target
        return float(np.sqrt(away @ away))

    return harm


def worst(harm: Harm, grid: Sequence[float] = GRID) -> float:
    """The strength within the ascending `grid` of the most harm that was found; the weakest of equals."""
    tried = {strength: _finite(harm(strength)) for strength in grid}
    place = grid.index(max(tried, key=lambda s: tried[s]))
    low, high = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    tried |= {strength: _finite(harm(strength)) for strength in (left, right)}
    for _ in range(_REFINEMENTS):
        if tried[left] < tried[right]:
            low, left = left, right
            new = right = low + _GOLDEN * (high - low)
        else:
            high, right = right, left
            new = left = high - _GOLDEN * (high - low)
        tried[new] = _finite(harm(new))
    found: float = min(tried, key=lambda s: (-tried[s], s))
    return found


def _finite(harm: float) -> float:
    """A lie that overflows is refused, so it does none."""
    return harm if np.isfinite(harm) else 0.0


def check_strength(name: str, strength: Strength) -> None:
    """Raises ValueError for a number that is no strength."""
    if strength != WORST and not 0.0 < float(strength) < float("inf"):
        raise ValueError(f"{name} must be positive and finite, is {strength}")
