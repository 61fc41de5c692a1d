"""The tables of rules and of what is done before one, and whether a choice of them can be kept.

A new rule is one function, one line here and one property test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gossipfl.aggregation import center, linear, selection, trust
from gossipfl.aggregation import pre as before
from gossipfl.aggregation.rule import About, Budget, PreSpec, Ranks, RuleSpec
from gossipfl.errors import ConfigError, meant

_BUDGET = frozenset({"budget"})

# What the rules of coordinate.py average; papers and promises are in docs/rules.md.
MEDIAN = Ranks(near=False, drop=lambda budget: None)
TRIMMED = Ranks(near=False, drop=lambda budget: budget.byzantine_max)
MEAMED = Ranks(near=True, drop=lambda budget: budget.byzantine_max)
BULYAN = Ranks(near=True, drop=lambda budget: 2 * budget.byzantine_max)


def _majority(f: int) -> int:
    return 2 * f + 1


RULES: dict[str, RuleSpec] = {
    "mean": RuleSpec(lambda f: 1, "nothing", weigh=linear.mean),
    "clipping": RuleSpec(lambda f: 1, "lengths", weigh=linear.clipping),  # bounds the pull of each, however many lie
    "clipping_adaptive": RuleSpec(_majority, "lengths", weigh=linear.clipping_adaptive, needs=_BUDGET),
    "cs_plus": RuleSpec(lambda f: 2 * f + 2 if f else 1, "lengths", weigh=linear.cs_plus, needs=_BUDGET),
    "nna": RuleSpec(_majority, "lengths", weigh=linear.nna, needs=_BUDGET),
    "monna": RuleSpec(_majority, "lengths", weigh=linear.monna, needs=_BUDGET),
    "ios": RuleSpec(_majority, "gram", weigh=linear.ios, needs=_BUDGET),
    "rtc": RuleSpec(_majority, "lengths", weigh=linear.rtc, needs=_BUDGET),
    "median": RuleSpec(_majority, "nothing", ranks=MEDIAN),
    "trimmed_mean": RuleSpec(_majority, "nothing", ranks=TRIMMED, needs=_BUDGET),
    "meamed": RuleSpec(_majority, "nothing", ranks=MEAMED, needs=_BUDGET),
    "geometric_median": RuleSpec(_majority, choose=center.geometric_median),
    "centered_clipping": RuleSpec(_majority, "steps", choose=center.centered_clipping),
    "krum": RuleSpec(lambda f: 2 * f + 3, choose=selection.krum, needs=_BUDGET),
    "multi_krum": RuleSpec(lambda f: 2 * f + 3, choose=selection.multi_krum, needs=_BUDGET),
    "bulyan": RuleSpec(lambda f: 4 * f + 3, choose=selection.bulyan, ranks=BULYAN, needs=_BUDGET),
    "mda": RuleSpec(_majority, choose=selection.mda, needs=_BUDGET),
    "dnc": RuleSpec(_majority, "samples", choose=selection.dnc, needs=_BUDGET),
    "ubar": RuleSpec(lambda f: f + 2 if f else 1, "lengths", weigh=trust.ubar, needs=frozenset({"budget", "losses"})),
    "balance": RuleSpec(lambda f: 1, "lengths", weigh=trust.balance, needs=frozenset({"rounds", "norm"})),
    "fltrust": RuleSpec(lambda f: 1, "own", weigh=trust.fltrust, needs=frozenset({"update"})),
}

PRE: dict[str, PreSpec] = {
    "nnm": PreSpec(before.nnm, lambda models, budget: models),
    "bucketing": PreSpec(before.bucketing, before.buckets, regroups=True),
    "norm_clipping": PreSpec(before.norm_clipping, lambda models, budget: models),
    "arc": PreSpec(before.arc, lambda models, budget: models),
}


def rule_named(name: str) -> RuleSpec:
    """The rule of an option's value.  Raises ConfigError."""
    if name not in RULES:
        raise ConfigError(f"no rule {name!r}; {meant(name, [*RULES, 'auto'])}", "aggregation.rule")
    return RULES[name]


class Recipe(NamedTuple):
    """A rule, what is done before it, and the budget: all that a mixing is told beforehand."""

    rule: str
    spec: RuleSpec
    steps: tuple[PreSpec, ...]
    budget: Budget

    @property
    def models_min(self) -> int:
        """Models that the rule's promise needs."""
        return self.spec.models_min(self.budget.byzantine_max)

    def models(self, present: Any) -> Any:
        """How many models the rule sees of so many that are present, mine included; an int, or traced by jax."""
        for step in self.steps:
            present = step.after(present, self.budget)
        return present


def recipe(rule: str, pre: Sequence[str], budget: Budget) -> Recipe:
    """Raises ConfigError for names that are in no table, and where `rule` does not go with `pre`."""
    spec = rule_named(rule)
    for name in pre:
        if name not in PRE:
            raise ConfigError(f"no {name!r} to do before a rule; {meant(name, PRE)}", "aggregation.pre")
    if pre and not spec.is_set:
        sets = ", ".join(name for name, other in RULES.items() if other.is_set)
        raise ConfigError(f"{pre[0]} treats me like anybody, {rule} does not; it goes with {sets}", "aggregation.pre")
    return Recipe(rule, spec, tuple(PRE[name] for name in pre), budget)


def check(rule: str, pre: Sequence[str], byzantine_max: int, neighbors: int, bucket_size: int = 2) -> None:
    """Whether a peer with so many neighbors can run this.  Raises ConfigError with the number that is missing."""
    chosen = recipe(rule, pre, Budget(byzantine_max, bucket_size=bucket_size))
    have, need = chosen.models(1 + neighbors), chosen.models_min
    if have < need:
        left = f", of which {' and '.join(pre)} leave {have}" if have <= neighbors else ""
        raise ConfigError(
            f"{rule} against {byzantine_max} needs {need} models, a peer's own included, and {neighbors} neighbors "
            f"make {neighbors + 1}{left}", "aggregation.byzantine_max",
        )  # fmt: skip
    if rule == "mda":
        selection.check_subsets(have, byzantine_max)


def told(chosen: Recipe, about: About) -> None:
    """Raises ConfigError where the rule was not told what it needs: to guess would be to weaken it silently."""
    missing = {
        "losses": about.losses is None and "every neighbor's loss on my examples",
        "update": about.own_update is None and "my update of this round",
        "norm": about.own_norm is None and "the length of my model",
        "rounds": not about.rounds and "to know how many rounds there will be (round.rounds)",
    }
    for need in sorted(chosen.spec.needs & missing.keys()):
        if missing[need]:
            raise ConfigError(f"{chosen.rule} needs {missing[need]}", "aggregation.rule")
