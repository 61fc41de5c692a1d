"""How neighbors' models enter mine.  A new rule is one function, one line in RULES and one property test.

    screen(z, ...)  ->  mix(z, w, rule, budget, about, pre)  ->  x = x_half + gamma * correction.vector

rule.py says what a rule is, table.py which there are; linear.py, center.py, selection.py, trust.py and coordinate.py
hold them, pre.py what is done before a set rule, everyone.py mixes all peers of an array at once.  The budget that a
graph can carry is overlay/budget.py's business; here is only checked that there are models enough for a rule's promise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gossipfl.aggregation.coordinate import ranked
from gossipfl.aggregation.members import row_sum, see
from gossipfl.aggregation.mixing import Ranking, decide, looks_of
from gossipfl.aggregation.rule import About, Array, Budget, Correction, PreSpec, RuleSpec, Vector, differences, on_host
from gossipfl.aggregation.screen import Screened, norm, screen
from gossipfl.aggregation.table import PRE, RULES, Recipe, check, recipe, rule_named, told
from gossipfl.errors import TooFewPeers

_NOBODY = About()


def mix(
    z: Array, w: Array, rule: str, budget: Budget, about: About = _NOBODY, pre: Sequence[str] = ()
) -> Correction:
    """The correction of `rule` for differences z (n, d) with weights w (n,), 0 where a neighbor is absent.

    Raises TooFewPeers if those present and I are fewer than the rule's promise needs, after `pre`; under jax, where
    their number is not known beforehand, the correction is then zero.  ConfigError for an unknown rule, one that does
    not compose, and one that needs what `about` does not tell.
    """
    chosen = recipe(rule, pre, budget)
    told(chosen, about)
    present = 1 + (int(np.count_nonzero(w > 0)) if on_host(z) else len(z))
    if chosen.models(present) < chosen.models_min:
        raise TooFewPeers(rule, chosen.models(present), chosen.models_min)
    if on_host(z):
        return _mixed(z, w, chosen, about) if present > 1 else _alone(z)
    from gossipfl.aggregation import traced

    return traced.mix(traced.rows_of(z, w, about.own_update), chosen, about)


def _mixed(z: Vector, w: Array, chosen: Recipe, about: About) -> Correction:
    with np.errstate(over="ignore"):                     # of a liar's 3e38; what overflows is far away, and refused
        decision = decide(chosen, see(z, w, looks_of(chosen), about), about)
        if isinstance(decision, Ranking):
            return ranked(z, w, decision, chosen.budget, about)
        return Correction(row_sum(z, decision, about), decision.kept.astype(np.float32))


def _alone(z: Vector) -> Correction:
    """Nobody is there: I stay where I am."""
    return Correction(np.zeros(z.shape[1], np.float32), np.zeros(len(z), np.float32))


__all__ = [
    "PRE", "RULES", "About", "Budget", "Correction", "PreSpec", "RuleSpec", "Screened", "check", "differences", "mix",
    "norm", "rule_named", "screen",
]  # fmt: skip
