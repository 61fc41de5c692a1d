"""What honest peers concluded of their neighbors: who was kept, clipped or refused, and what that says of an attack.

Reads the verdicts that peers kept with their rounds (node/verdicts.py).  Decides when a liar is called visible, when an
honest peer was treated so badly that the reader must know, and the sentences.  How a verdict comes about is the rules'
business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from gossipfl.node.verdicts import STANDINGS, Verdict, unpack
from gossipfl.scenario.outcome import Outcome
from gossipfl.scenario.report.heard import numbers_of
from gossipfl.scenario.report.wording import peers_text

Tables = dict[str, Any]
APART = 0.15                                    # guess; a liar stands out if so much less of it entered than of the
                                                # honest peer that was treated worst
MOSTLY = 0.5                                    # from so many refusals on, their share says it best
SELDOM = 0.5                                    # guess; a liar judged less often than this share was hardly heard
UNFAIR_FROM = 0.5                               # of an honest peer's model, more than this was left out ...
UNFAIR_APART = 0.25                             # ... and so much more than of honest peers in the middle: guess
FAR = 3.0                                       # who is so many times as far from its judges as their neighbors in the
FAR_APART = 0.1                                 # middle is unlike them, and left out where it is from so much on: guess


@dataclass(slots=True)
class Judged:
    """All that honest peers concluded of one peer."""

    number: int
    liar: str                                   # its attack, "" if it is honest
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STANDINGS, 0))
    by_rule: int = 0                            # refusals of the rule, not of the screen before it
    judges: set[int] = field(default_factory=set)
    kept: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)    # its distance over the median of that round's

    @property
    def left_out(self) -> float:
        """The share of it that did not enter, on average, 0..1."""
        return 1.0 - fmean(self.kept)

    @property
    def rounds(self) -> float:
        """In how many rounds a judge of it heard it, on average."""
        return len(self.kept) / max(len(self.judges), 1)

    @property
    def distance_ratio(self) -> float | None:
        """Its distance over the median of its judge's neighbors, the median over rounds and judges."""
        return median(self.ratios) if self.ratios else None

    @property
    def refused(self) -> float:
        """The share of verdicts that were refusals."""
        return self.counts["refused"] / len(self.kept)


def conclusions(outcomes: Sequence[Outcome]) -> Tables:
    """{"per_peer", "sentences", "warnings", "honest_rejection_rate"}; the last two of what befell honest peers.

    per_peer: "number", "judged" (verdicts on it), of them "kept", "clipped", "refused", "refused_by_rule"; "mean_kept"
    and "distance_ratio" (its distance over the median of its judge's neighbors, the median over rounds) may be null.
    """
    judged = _judged(outcomes)
    seen = [one for one in judged if one.kept]
    honest = [one for one in seen if not one.liar]
    verdicts = sum(len(one.kept) for one in honest)
    return {
        "per_peer": [_table(one) for one in judged],
        "sentences": [*_of_liars(seen), *_of_twins(outcomes)],
        "warnings": _warnings(honest),
        "honest_rejection_rate": sum(one.counts["refused"] for one in honest) / verdicts if verdicts else None,
    }


def listed(packed: bytes, numbers: dict[bytes, int]) -> list[list[Any]]:
    """A row's verdicts for metrics.jsonl: [peer, distance or null, kept, cause]; strangers left out."""
    known = [one for one in unpack(packed) if one.peer in numbers]
    return [[numbers[one.peer], one.distance, round(one.kept, 4), one.cause] for one in known]


def _judged(outcomes: Sequence[Outcome]) -> list[Judged]:
    numbers = numbers_of(outcomes)
    attacks = [one.peer.liar.attack if one.peer.liar is not None else "" for one in outcomes]
    found = [Judged(one.peer.number, attack) for one, attack in zip(outcomes, attacks, strict=True)]
    for judge in outcomes:
        for row in judge.rows if judge.peer.liar is None else ():
            verdicts = [one for one in unpack(row.verdicts) if one.peer in numbers]
            _count(judge.peer.number, verdicts, numbers, found)
    return found


def _count(judge: int, verdicts: Sequence[Verdict], numbers: dict[bytes, int], found: Sequence[Judged]) -> None:
    distances = [one.distance for one in verdicts if one.distance is not None]
    middle = median(distances) if distances else 0.0
    for one in verdicts:
        judged = found[numbers[one.peer]]
        judged.counts[one.standing] += 1
        judged.by_rule += one.cause == "rule"
        judged.kept.append(one.kept)
        judged.judges.add(judge)
        if one.distance is not None and middle > 0:
            judged.ratios.append(one.distance / middle)


def _table(one: Judged) -> Tables:
    return {
        "number": one.number, "judged": len(one.kept), **one.counts, "refused_by_rule": one.by_rule,
        "mean_kept": fmean(one.kept) if one.kept else None, "distance_ratio": one.distance_ratio,
    }  # fmt: skip


# ------------------------------------------------------------------------------------------------------- liars


def _of_liars(seen: Sequence[Judged]) -> Iterator[str]:
    """A sentence for each attack: who stands out and who does not."""
    honest = [one for one in seen if not one.liar]
    if all(one.left_out == 0 for one in seen):
        if any(one.liar for one in seen):
            yield "the rule left nobody out, so honest peers concluded nothing of anybody"
        return
    attacks: dict[str, list[Judged]] = defaultdict(list)
    for one in seen:
        if one.liar:
            attacks[one.liar].append(one)
    truths = _Truths.of(honest)
    for attack, liars in sorted(attacks.items()):
        out = [one for one in liars if truths.are_left_by(one)]
        if out:
            yield _visible(attack, out, truths)
        if len(out) < len(liars):
            yield _hidden(attack, [one for one in liars if one not in out], truths)


@dataclass(frozen=True, slots=True)
class _Truths:
    """How honest peers were treated: what a liar must differ from to be seen."""

    left_out: float                             # of whom most was left out
    left_out_mean: float
    refused: float                              # of whoever was refused most often
    distance_ratio: float                       # of whoever is farthest
    rounds: float                               # in which each judge of a peer in the middle heard it

    @classmethod
    def of(cls, honest: Sequence[Judged]) -> _Truths:
        return cls(
            left_out=max((one.left_out for one in honest), default=0.0),
            left_out_mean=_mean(one.left_out for one in honest),
            refused=max((one.refused for one in honest), default=0.0),
            distance_ratio=max((one.distance_ratio or 1.0 for one in honest), default=1.0),
            rounds=median([one.rounds for one in honest] or [0.0]),
        )

    def are_left_by(self, liar: Judged) -> bool:
        """Does what was concluded of `liar` set it apart from every honest peer?"""
        by_verdict = max(liar.left_out - self.left_out, liar.refused - self.refused) >= APART
        return by_verdict or (self._are_nearer(liar) and liar.left_out >= self.left_out_mean)

    def _are_nearer(self, liar: Judged) -> bool:
        return (liar.distance_ratio or 0.0) >= max(FAR, 2 * self.distance_ratio)


def _visible(attack: str, liars: Sequence[Judged], truths: _Truths) -> str:
    who = f"{attack}: {peers_text(one.number for one in liars)}"
    were = "were" if len(liars) > 1 else "was"
    refused, kept = _mean(one.refused for one in liars), 1 - _mean(one.left_out for one in liars)
    is_refused, least = refused >= truths.refused + APART, 1 - truths.left_out
    if is_refused and (refused >= MOSTLY or kept > least - APART):
        most = _percent(truths.refused)
        return f"{who} {were} refused in {_percent(refused)} of rounds; no honest peer in more than {most}"
    if kept <= least - APART:
        return f"{who} {were} let in by {_percent(kept)} on average; every honest peer by at least {_percent(least)}"
    far = median(one.distance_ratio or 0.0 for one in liars)
    return (
        f"{who} {were} {far:.0f} times as far away as neighbors in the middle, honest peers at most "
        f"{truths.distance_ratio:.1f} times; the rule leaves so much of everybody out that its verdicts say less"
    )


def _hidden(attack: str, liars: Sequence[Judged], truths: _Truths) -> str:
    who, were = peers_text(one.number for one in liars), "were" if len(liars) > 1 else "was"
    lies, rounds = _mean(one.left_out for one in liars), _mean(one.rounds for one in liars)
    if rounds < SELDOM * truths.rounds:
        return (
            f"{attack}: {who} {were} judged in {rounds:.1f} rounds by whoever heard it, honest peers in "
            f"{truths.rounds:.1f}: silent, or kept out before any rule could judge"
        )
    if lies < truths.left_out_mean + APART:
        return f"{attack}: {who} {were} kept like honest peers: this attack is not visible in distances"
    return (
        f"{attack}: {who} {were} left out by {_percent(lies)}, honest peers by {_percent(truths.left_out_mean)} on "
        "average, but some of them as much: verdicts alone do not tell who lies"
    )


# ------------------------------------------------------------------------------------------------ honest peers


def _warnings(honest: Sequence[Judged]) -> list[str]:
    """Honest peers that the rule takes for liars, told by name; or that it treats them all so."""
    if not honest:
        return []
    middle = median(one.left_out for one in honest)
    told = [
        f"{peers_text([one.number])} is honest, and {_percent(one.left_out)} of its model was left out, of honest "
        f"peers in the middle {_percent(middle)}{_far(one)}: its examples may be unusual, and the rule takes it for a "
        "liar"
        for one in honest if _is_wronged(one, middle)
    ]  # fmt: skip
    if middle > UNFAIR_FROM:
        told.append(
            f"the rule left out {_percent(middle)} of honest peers' models: what it protects from liars, it keeps from "
            "learning together as well"
        )
    return told


def _is_wronged(one: Judged, middle: float) -> bool:
    """Whether much of it was left out; or where a rule looks at single numbers, those in which it differs."""
    apart = one.left_out - middle
    return (one.left_out > UNFAIR_FROM and apart > UNFAIR_APART) or (bool(_far(one)) and apart > FAR_APART)


def _far(one: Judged) -> str:
    ratio = one.distance_ratio
    return "" if ratio is None or ratio < FAR else f", and it is {ratio:.1f} times as far away as they are"


def _of_twins(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Who concluded that it would be better off alone."""
    since = {
        one.peer.number: next(row.round for row in one.rows if row.isolated)
        for one in outcomes
        if one.peer.liar is None and any(row.isolated for row in one.rows)
    }
    first, last = min(since.values(), default=0), max(since.values(), default=0)
    when = f"round {first}" if first == last else f"rounds {first} to {last}"
    if len(since) == 1:
        yield f"{peers_text(since)} isolated itself in {when}: its twin that learns alone did better"
    elif since:
        yield f"{peers_text(since)} isolated themselves in {when}: their twins that learn alone did better"


def _mean(shares: Iterable[float]) -> float:
    return fmean([*shares] or [0.0])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
