"""What honest peers concluded of their neighbors: who was kept, clipped or refused, and what that says of an attack.

Decides when an honest peer was treated so badly that the reader must know.  Who was judged how is judged.py's, when a
liar is called visible visible.py's; how a verdict comes about is the rules' business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from gossipfl.node.verdicts import STANDINGS, unpack
from gossipfl.scenario.outcome import Outcome
from gossipfl.scenario.report import visible
from gossipfl.scenario.report.figures import rounds_of
from gossipfl.scenario.report.judged import Judged, judged_of, often
from gossipfl.scenario.report.visible import FAR
from gossipfl.scenario.report.wording import peers_text, percent

Tables = dict[str, Any]
UNFAIR_FROM = 0.5                               # of an honest peer's model, more than this was left out ...
UNFAIR_APART = 0.25                             # ... and so much more than of honest peers in the middle: guess
FAR_APART = 0.1                                 # who is FAR is left out where it is unlike the others, from so much on:
                                                # guess


def conclusions(outcomes: Sequence[Outcome]) -> Tables:
    """{"per_peer", "sentences", "warnings", "honest_rejection_rate"}; the last two of what befell honest peers.

    per_peer: "number", "judged" (verdicts on it), of them "kept", "clipped", "refused", "refused_by_rule"; "mean_kept"
    and "distance_ratio" (its distance over the median of its judge's honest neighbors, the median over rounds) may be
    null.
    """
    judged = judged_of(outcomes)
    honest = [one for one in judged if one.said and not one.liar]
    verdicts = sum(len(one.said) for one in honest)
    return {
        "per_peer": [_table(one) for one in judged],
        "sentences": [*visible.sentences(judged, rounds_of(outcomes)), *_of_twins(outcomes)],
        "warnings": _warnings(often(honest)),
        "honest_rejection_rate": sum(one.counts["refused"] for one in honest) / verdicts if verdicts else None,
    }


def listed(packed: bytes, numbers: dict[bytes, int]) -> list[list[Any]]:
    """A row's verdicts for metrics.jsonl: [peer, distance or null, kept, cause]; strangers left out."""
    known = [one for one in unpack(packed) if one.peer in numbers]
    return [[numbers[one.peer], one.distance, round(one.kept, 4), one.cause] for one in known]


def _table(one: Judged) -> Tables:
    return {
        "number": one.number, "judged": len(one.said), **{name: one.counts[name] for name in STANDINGS},
        "refused_by_rule": sum(said.is_by_rule for said in one.said),
        "mean_kept": 1.0 - one.left_out if one.said else None, "distance_ratio": one.distance_ratio,
    }  # fmt: skip


def _warnings(honest: Sequence[Judged]) -> list[str]:
    """Honest peers that the rule takes for liars, told by name; or that it treats them all so."""
    if not honest:
        return []
    middle = median(one.left_out for one in honest)
    told = [
        f"{peers_text([one.number])} is honest, and {percent(one.left_out)} of its model was left out, of honest "
        f"peers in the middle {percent(middle)}{_far(one)}: {_why(one)}"
        for one in honest if _is_wronged(one, middle)
    ]  # fmt: skip
    if middle > UNFAIR_FROM:
        told.append(
            f"the rule left out {percent(middle)} of honest peers' models: what it protects from liars, it keeps from "
            "learning together as well"
        )
    return told


def _is_wronged(one: Judged, middle: float) -> bool:
    """Whether much of it was left out; or where a rule looks at single numbers, those in which it differs."""
    apart = one.left_out - middle
    return (one.left_out > UNFAIR_FROM and apart > UNFAIR_APART) or (bool(_far(one)) and apart > FAR_APART)


def _why(one: Judged) -> str:
    """What may be the matter with an honest peer that was treated so."""
    if one.refused_before_rule > one.left_out / 2:
        return (
            f"it was refused before the rule saw it, in {percent(one.refused_before_rule)} of rounds: its numbers were "
            "not finite, too far away, or could not be read"
        )
    return "its examples may be unusual, and the rule takes it for a liar"


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
