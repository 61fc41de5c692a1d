"""How neighbors' models enter mine.  A new rule is one function, one line in RULES and one property test.

    screen(z, ...)  ->  mix(z, w, rule, budget)  ->  x = x_half + gamma * correction.vector

rule.py says what a rule is.  The budget that a graph can carry is overlay/budget.py's business; here is only checked
that there are models enough for the rule's promise.
"""

from __future__ import annotations

import numpy as np

from gossipfl.aggregation.coordinate import median, trimmed_mean
from gossipfl.aggregation.linear import clipping, mean
from gossipfl.aggregation.rule import Budget, Correction, Rule, RuleSpec, Vector, differences
from gossipfl.aggregation.screen import Screened, norm, screen
from gossipfl.errors import ConfigError, TooFewPeers

RULES: dict[str, RuleSpec] = {
    "mean": RuleSpec(mean, lambda f: 1),
    "clipping": RuleSpec(clipping, lambda f: 1),                          # bounds the pull of each, however many lie
    "median": RuleSpec(median, lambda f: 2 * f + 1),
    "trimmed_mean": RuleSpec(trimmed_mean, lambda f: 2 * f + 1),
}


def rule_named(name: str) -> RuleSpec:
    """The rule of an option's value.  Raises ConfigError."""
    if name not in RULES:
        raise ConfigError(f"no rule {name!r}; there are {', '.join(RULES)}", "aggregation.rule")
    return RULES[name]


def mix(z: Vector, w: Vector, rule: str, budget: Budget) -> Correction:
    """The correction of `rule` for differences z (n, d) with weights w (n,), 0 where a neighbor is absent.

    Raises TooFewPeers if those present and I are fewer than the rule's promise needs; ConfigError for an unknown rule.
    """
    spec = rule_named(rule)
    have, need = 1 + int(np.count_nonzero(w > 0)), spec.models_min(budget.byzantine_max)
    if have < need:
        raise TooFewPeers(rule, have, need)
    return spec.function(z, w, budget)


__all__ = [
    "RULES", "Budget", "Correction", "Rule", "RuleSpec", "Screened", "differences", "mix", "norm", "rule_named",
    "screen",
]  # fmt: skip
