"""What honest peers concluded of each peer, round by round, read from the verdicts that they kept (node/verdicts.py).

Collects and sums up; what it says of liars and of honest peers is for conclusions.py to tell.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean, median
from typing import NamedTuple

from gossipfl.node.verdicts import Standing, Verdict, unpack
from gossipfl.scenario.outcome import Outcome
from gossipfl.scenario.report.figures import rounds_of
from gossipfl.scenario.report.heard import numbers_of

FEW = 5                                         # guess; who was judged in fewer rounds than this, and in fewer than ...
SELDOM = 0.5                                    # ... this share of those in which honest peers in the middle were, had
                                                # good or bad luck


class Said(NamedTuple):
    """One verdict."""

    judge: int
    standing: Standing
    is_by_rule: bool                            # a refusal of the rule, not of the screen before it
    kept: float
    ratio: float | None                         # its distance over the median of that judge's honest neighbors


@dataclass(frozen=True)
class Judged:
    """All that honest peers concluded of one peer, in all rounds or in some."""

    number: int
    liar: str                                   # its attack, "" if it is honest
    lies: range                                 # rounds in which it lied: what it did in others is no evidence
    by_round: dict[int, list[Said]]             # rounds of the judge

    def within(self, rounds: range) -> Judged:
        """The same in these rounds."""
        return replace(self, by_round={number: self.by_round[number] for number in rounds if number in self.by_round})

    @cached_property
    def said(self) -> list[Said]:
        """Every verdict."""
        return [one for some in self.by_round.values() for one in some]

    @cached_property
    def counts(self) -> Counter[Standing]:
        """Of verdicts, by their standing."""
        return Counter(one.standing for one in self.said)

    @cached_property
    def left_out(self) -> float:
        """The share of it that did not enter, on average, 0..1; 0 where nobody judged it."""
        return 1.0 - fmean(one.kept for one in self.said) if self.said else 0.0

    @cached_property
    def refused(self) -> float:
        """The share of verdicts that were refusals."""
        return self.counts["refused"] / max(len(self.said), 1)

    @cached_property
    def refused_before_rule(self) -> float:
        """The share of verdicts that were refusals of what no rule saw."""
        return sum(one.standing == "refused" and not one.is_by_rule for one in self.said) / max(len(self.said), 1)

    @cached_property
    def rounds(self) -> float:
        """In how many rounds a judge of it heard it, on average."""
        return len(self.said) / max(len({one.judge for one in self.said}), 1)

    @cached_property
    def distance_ratio(self) -> float | None:
        """Its distance over the median of its judge's honest neighbors, the median over rounds and judges."""
        ratios = [one.ratio for one in self.said if one.ratio is not None]
        return median(ratios) if ratios else None


def judged_of(outcomes: Sequence[Outcome]) -> list[Judged]:
    """What the honest among `outcomes` concluded of each of them, in the order of numbers."""
    numbers, rounds = numbers_of(outcomes), rounds_of(outcomes)
    found = [_nothing_of(outcome, rounds) for outcome in outcomes]
    for judge in outcomes:
        for row in judge.rows if judge.peer.liar is None else ():
            verdicts = [one for one in unpack(row.verdicts) if one.peer in numbers]
            middle = _middle(one for one in verdicts if not found[numbers[one.peer]].liar)
            for one in verdicts:
                found[numbers[one.peer]].by_round[row.round].append(_said(judge.peer.number, one, middle))
    return found


def often(honest: Iterable[Judged]) -> list[Judged]:
    """Those that were judged in enough rounds for their treatment to be more than chance."""
    seen = [one for one in honest if one.said]
    enough = rounds_enough(seen)
    return [one for one in seen if len(one.by_round) >= enough]


def rounds_enough(honest: Sequence[Judged]) -> float:
    """Against `honest` peers that were judged: in how many rounds somebody must have judged a peer."""
    return min(FEW, SELDOM * median([len(one.by_round) for one in honest] or [0]))


def _nothing_of(outcome: Outcome, rounds: int) -> Judged:
    liar = outcome.peer.liar
    if liar is None:
        return Judged(outcome.peer.number, "", range(0), defaultdict(list))
    attack = liar.build()
    lies = [number for number in range(rounds) if attack.lies_in(number)]
    return Judged(
        outcome.peer.number, liar.attack, range(lies[0], lies[-1] + 1) if lies else range(0), defaultdict(list)
    )


def _middle(honest: Iterable[Verdict]) -> float:
    """How far honest neighbors in the middle are; liars, where they are many, would make them look far or near."""
    return median([one.distance for one in honest if one.distance is not None] or [0.0])


def _said(judge: int, one: Verdict, middle: float) -> Said:
    ratio = one.distance / middle if one.distance is not None and middle > 0 else None
    return Said(judge, one.standing, one.cause == "rule", one.kept, ratio)
