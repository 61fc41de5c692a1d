"""Which rule to mix by on a graph, and what may be promised of it: `rule = "auto"`, and what to tell of a named rule.

    byzantine_max = 0            mean                     honest          nobody is declared to lie
    the graph certifies it       cs_plus                  certified       sure to agree wherever the liars sit, or, if
                                                                          that is not proven, where a search put them
    everybody hears everybody    nnm + trimmed_mean       damage-limited  every round's average is robust
    any other graph              clipping, fixed radius   damage-limited  each neighbor's pull is bounded, no more
    b is impossible there        as in the two above      impossible      no rule can promise anything
    asked for by name            mean                     unprotected     follows a single liar anywhere

The order of the first two questions is the point: a rule that drops or clips by rank leaves peers on a sparse graph to
themselves even where nobody lies (overlay/cost.py), so the graph is asked before the rule.  What a graph carries is
computed in overlay/budget.py, what the rules do in aggregation/.  Decides nothing about a single neighbor, and measures
nothing: the radius of clipping is fed by whoever hears the neighbors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from gossipfl.config import AggregationConfig
from gossipfl.errors import ConfigError
from gossipfl.overlay import Budgets, Edge, budgets

Standing = Literal["honest", "certified", "damage-limited", "impossible", "unprotected"]

AUTO = "auto"
MESH_PEERS_MAX = 32                                      # nnm compares all with all: n^2 d of each peer in each round
MEASURED = 0.0                                           # a clip_radius that means: each peer measures its own
RADIUS_RATIO = 0.5                                       # tau is so many times the median distance of a neighbor ...
WARM_UP_ROUNDS = 3                                       # ... over the first rounds.  Accuracy of a softmax on digits,
                                                         # dirichlet 0.3, ring of 10, 60 rounds, with no liar, one that
                                                         # pushes, one that flips: plain gossip 0.940, 0.764, 0.540;
                                                         # ratio 0.25: 0.915, 0.892, 0.819; 0.5: 0.939, 0.917, 0.858;
                                                         # 1: 0.940, 0.904, 0.817; 2: 0.940, 0.857, 0.688; alone 0.60.
                                                         # 1, 3 and 8 rounds are alike
LEAST_SHARE = 0.1                                        # tau is at least so much of the length of the model that all
                                                         # begin with, or rounds of a step or two would measure nothing;
                                                         # He et al. 2022 take 1 for a net that begins with length 9
BUDGET_PEERS_MAX = 2000                                  # of larger graphs no certificate is computed
_GROWTH_MAX = 2.0                                        # guess; a later round counts no more than twice those before
CERTIFIES = {"cs_plus": "certified_in_use", "nna": "certified_in_use_nna"}
_PROVES = {"cs_plus": "proven_in_use", "nna": "proven_in_use_nna"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How to mix, and what of it may be told to a user."""

    rule: str                                            # a key of aggregation.RULES
    pre: tuple[str, ...]                                 # keys of aggregation.PRE
    standing: Standing
    why: str                                             # one sentence with the numbers
    carried: Budgets | None = None                       # what the graph can carry; None where it is not known
    left_out: int = 0                                    # peers to whom nothing is promised


def choose(
    n: int, edges: Sequence[Edge], byzantine_max: int, *, rule: str = AUTO, pre: Sequence[str] = (),
    carried: Budgets | None = None, outside: Sequence[int] | None = None,
) -> Choice:  # fmt: skip
    """The rule for peers 0 to n - 1 that average over `edges`, up to `byzantine_max` of them lying, and its standing.

    A rule that is named is never replaced, only told what it is worth here.  `carried` is budgets(n, edges), where the
    caller knows it already; it takes milliseconds for 10 peers, a tenth of a second for 64 and seconds for 2,000.
    `outside` are neighbors of each peer of whom nothing is said here.
    """
    if byzantine_max == 0:
        is_auto = rule == AUTO
        return Choice(rule="mean" if is_auto else rule, pre=() if is_auto else tuple(pre), standing="honest",
                      why=_HONEST, carried=carried)  # fmt: skip
    if carried is None and n > BUDGET_PEERS_MAX:
        return unjudged(f"a certificate is computed for up to {BUDGET_PEERS_MAX} peers, and here are {n}", rule, pre)
    case = _Case(n, len(edges) == n * (n - 1) // 2, byzantine_max, carried or budgets(n, edges, outside=outside))
    return case.chosen() if rule == AUTO else case.told(rule, tuple(pre))


def check_auto(rules: AggregationConfig) -> None:
    """Raises ConfigError for something to do before a rule that is yet to be chosen."""
    if rules.rule == AUTO and rules.pre:
        raise ConfigError('"auto" chooses what is done before the rule itself: leave "pre" out', "aggregation.pre")


def in_force(asked: AggregationConfig, rule: str, pre: Sequence[str] = ()) -> AggregationConfig:
    """What was asked for, with a rule in the place of "auto"; where that is clipping, each peer measures its radius."""
    if asked.rule != AUTO:
        return asked
    radius = MEASURED if rule == "clipping" else asked.clip_radius
    return msgspec.structs.replace(asked, rule=rule, pre=tuple(pre), clip_radius=radius)


class _Case(NamedTuple):
    """One graph and one number of liars."""

    n: int
    is_complete: bool
    b: int
    carried: Budgets

    def chosen(self) -> Choice:
        if self.carried.certified_in_use >= self.b:
            return self.told("cs_plus", ())
        if self.is_complete and 2 * self.b < self.n <= MESH_PEERS_MAX:
            return self._limited("trimmed_mean", ("nnm",), _MESH)
        return self._limited("clipping", (), _RADIUS)

    def told(self, rule: str, pre: tuple[str, ...]) -> Choice:
        promise = CERTIFIES.get(rule) if not pre else None
        certified: int = getattr(self.carried, promise) if promise else 0
        if certified >= self.b:
            return self._choice(rule, pre, "certified", self._certified(rule))
        if promise:
            return self._limited(rule, pre, f"{rule} is certified for {_liars(certified)} here")
        if rule == "mean" and not pre:
            return self._choice(rule, pre, "unprotected", _UNPROTECTED)
        bounds = "has no such certificate: it bounds what liars do in a round, not in all"
        return self._limited(rule, pre, f"{' + '.join([*pre, rule])} {bounds}")

    def _limited(self, rule: str, pre: tuple[str, ...], means: str) -> Choice:
        impossible = self.carried.impossible_budget
        if impossible is not None and self.b >= impossible:
            return self._choice(rule, pre, "impossible", (
                f"impossible: from {_liars(impossible)} on no rule can promise agreement on such a graph of {self.n} "
                f"peers{self._left(impossible, 2)}, and byzantine_max is {self.b}; {means}; {self._remedy()}, and with "
                "aggregation.alone_every a peer notices that it would be better off alone"
            ))  # fmt: skip
        certified = self.carried.certified_in_use
        short = " with cs_plus" if certified >= self.b else f", not for {self.b}{self._lacking()}"
        return self._choice(rule, pre, "damage-limited", (
            f"damage-limited: this graph of {self.n} peers is certified for {_liars(certified)}{short}; {means}"
            f"{'' if means == _MESH or certified >= self.b else f'; {self._remedy()}'}"
        ))  # fmt: skip

    def _certified(self, rule: str) -> str:
        factor = 4 if rule == "cs_plus" else 8
        proven: int = getattr(self.carried, _PROVES[rule])
        if proven >= self.b:
            return (
                f"certified: {rule} withstands {_liars(self.b)} wherever among the {self.n} peers they sit"
                f"{self._left(self.b, factor)}"
            )
        sure = f"a proof for {proven} only" if proven else "no proof"
        return (
            f"certified: {rule} withstands {_liars(self.b)} among the {self.n} peers{self._left(self.b, factor)} in "
            f"every place that a search found, which may have overlooked a worse one: there is {sure}"
        )

    def _remedy(self) -> str:
        if self.n > 5 * self.b:
            return f"which edges a certificate takes, for cs_plus, gossipfl topology audit --want {self.b} says"
        return f"a certificate, for cs_plus, takes {5 * self.b + 1} peers who all know each other"

    def _lacking(self) -> str:
        if self.carried.certified_budget < self.b:
            return self._left(self.b, 4)
        return " (some have so many more neighbors than others that the edges between them count too little)"

    def _left(self, b: int, factor: int) -> str:
        """What so many liars leave of the graph, compared with what the theorem asks."""
        if b >= len(self.carried.mu_after):
            return ""
        return f" (placed worst, they leave mu = {round(self.carried.mu_after[b], 3):g} against {factor * b})"

    def _choice(self, rule: str, pre: tuple[str, ...], standing: Standing, why: str) -> Choice:
        return Choice(rule=rule, pre=pre, standing=standing, why=why, carried=self.carried)


_HONEST = "honest: byzantine_max is 0, so nobody is expected to lie; what is no sane model is still refused"
_MESH = (
    # Two different models for one round are proven by their signatures, and ban; so all take the same set as at a
    # server, and the average of each round is (f, kappa)-robust for f < n / 2 (Allouah et al. 2023).
    "but all hear the same models here, for whoever tells two tales is proven a liar and banned, so nnm + trimmed_mean "
    "keeps every round's average near the honest one"
)
_RADIUS = "a neighbor moves a peer no farther than its weight times a radius that is measured at first and never grows"


_UNPROTECTED = 'unprotected: a mean follows a single liar anywhere; rule = "auto" takes one that does not'


def unjudged(why: str, rule: str, pre: Sequence[str]) -> Choice:
    """Without figures."""
    if rule == "mean" and not pre:
        return Choice(rule=rule, pre=(), standing="unprotected", why=_UNPROTECTED)
    named = ("clipping", ()) if rule == AUTO else (rule, tuple(pre))
    return Choice(rule=named[0], pre=named[1], standing="damage-limited", why=f"damage-limited: {why}")


def _liars(count: int) -> str:
    return f"{count} liar" if count == 1 else f"{count} liars"


def typical_distance(distances: Sequence[float], byzantine_max: int) -> float | None:
    """The median distance of a peer's neighbors, and never more than the largest honest one; None if that is unknown.

    Of n neighbors up to byzantine_max lie.  The lower median, or, where liars might be that, the farthest that has as
    many behind it; None where there is none such, because all who are heard may lie.
    """
    ranked = sorted(distance for distance in distances if math.isfinite(distance))
    last = len(ranked) - byzantine_max - 1
    return ranked[min((len(ranked) - 1) // 2, last)] if last >= 0 else None


@dataclass(slots=True)
class Radius:
    """tau of damage-limited clipping: measured in the first rounds, and from then on it only shrinks.

    A radius that followed current messages would be the liars' to widen, and one that the user guesses is in units that
    nobody knows.  `level` is the mean of WARM_UP_ROUNDS typical distances, none more than the largest honest one, so no
    lie raises it.  But half of those heard could lie it down to nothing; so the first round that hears more than
    2 byzantine_max (`is_sure`), whose median lies between honest distances, begins anew, once.  `rounds` is how many
    rounds were fed since then.  The three are all that a checkpoint needs.  `least` is what tau is at least: where a
    round is a step or two, neighbors are hardly apart at first, and two halves of a graph that learn different things
    must yet pull each other.
    """

    decay: float = 1.0                                   # per round after the warm-up, clip_decay
    ratio: float = RADIUS_RATIO
    warm_up: int = WARM_UP_ROUNDS
    least: float = 0.0
    byzantine_max: int = 0
    level: float = field(default=0.0)
    rounds: int = field(default=0)
    is_sure: bool = field(default=False)

    def feed(self, distances: Sequence[float]) -> float:
        """Tau of a round with neighbors so far away.  With byzantine_max or fewer of them nothing is measured."""
        is_sure = sum(map(math.isfinite, distances)) > 2 * self.byzantine_max
        if is_sure and not self.is_sure:
            self.level, self.rounds, self.is_sure = 0.0, 0, True
        distance = typical_distance(distances, self.byzantine_max)
        if self.rounds >= self.warm_up:
            self.rounds += 1
        elif distance is not None and is_sure == self.is_sure:
            self.rounds += 1
            capped = min(distance, _GROWTH_MAX * self.level) if self.level else distance     # of 0 all would be 0
            self.level += (capped - self.level) / self.rounds
        return self.tau

    @property
    def tau(self) -> float:
        """The radius now; `least` before anything was measured."""
        return max(self.ratio * self.level, self.least) * self.decay ** max(0, self.rounds - self.warm_up)

    def state(self) -> tuple[float, float, float]:
        """What a checkpoint keeps."""
        return self.level, float(self.rounds), float(self.is_sure)

    def restore(self, state: Sequence[float]) -> None:
        """Go on from a checkpoint.  What is none begins anew, as does an older one's pair: a liar may have set it."""
        if len(state) == 3 and all(math.isfinite(one) and one >= 0 for one in state):
            self.level, self.rounds, self.is_sure = state[0], int(state[1]), bool(state[2])
