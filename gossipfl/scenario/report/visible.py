"""Which liars stand out in what honest peers concluded of them, and in which rounds, in sentences.

A liar is visible if it differs from every honest peer, in all rounds in which it lied or in some of them; where none of
that is so, verdicts do not tell it.  Liars who shared a fate share a sentence, and none is told by a mean of several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, median

from gossipfl.scenario.report.judged import SELDOM, Judged, often, rounds_enough
from gossipfl.scenario.report.wording import peers_text, percent

APART = 0.15                                    # guess; a liar stands out if so much less of it entered than of the
                                                # honest peer that was treated worst
MOSTLY = 0.5                                    # from so many refusals on, their share says it best; and who is so far
                                                # apart stands out in however few rounds
FEW_VERDICTS = 3                                # guess; fewer in a part of the rounds are chance
FAR = 3.0                                       # who is so many times as far from its judges as their honest neighbors
                                                # in the middle is unlike them: guess


def sentences(judged: Sequence[Judged], rounds: int) -> Iterator[str]:
    """Sentences for each attack on who stands out and who does not, of a run that came to so many rounds."""
    if not any(one.said for one in judged):
        return
    if all(one.left_out == 0 for one in judged):
        if any(one.liar for one in judged):
            yield "the rule left nobody out, so honest peers concluded nothing of anybody"
        return
    alike: dict[tuple[str, int, int], list[Judged]] = defaultdict(list)
    for one in judged:
        if one.liar:
            alike[one.liar, one.lies.start, one.lies.stop].append(one)
    honest = [one for one in judged if not one.liar]
    for _, liars in sorted(alike.items()):
        yield from _of_alike(liars, honest, rounds)


def _of_alike(liars: Sequence[Judged], honest: Sequence[Judged], rounds: int) -> Iterator[str]:
    """Sentences on those who tried the same in the same rounds; who shared a fate shares one."""
    attack, lies = liars[0].liar, liars[0].lies
    if not lies:
        yield f"{attack}: {_who(liars)} had not begun to lie when the run ended"
        return
    since = f"from round {lies.start} on" if lies.stop == rounds else _in(lies)
    when, of = ("", "rounds") if len(lies) == rounds else (f", which lied {since},", "those rounds")
    lied = [one.within(lies) for one in liars]
    if not _judged_in(lies, honest):
        for _, some in _grouped(lied, lambda one: "judged" if one.said else "not judged"):
            yield f"{attack}: {_who(some)}{when} {_incomparable(some)}"
        return
    truths = _Truths.of(one.within(lies) for one in honest)
    out = {one.number for one in lied if truths.are_left_by(one)}
    for seen, some in _grouped((one for one in lied if one.number in out), truths.shown_by):
        yield f"{attack}: {_who(some)}{when} {_visible(seen, some, truths, of)}"
    hidden = [one for one in lied if one.number not in out and truths.hide(one) != "seldom judged"]
    for stretch, found in _telling(hidden, honest, lies).items():
        there = _Truths.of(one.within(stretch) for one in honest)
        for seen, some in _grouped(found, there.shown_by):
            yield f"{attack}: {_in(stretch)} {_who(some)}{when} {_visible(seen, some, there, 'verdicts')}"
        out |= {one.number for one in found}
    for why, some in _grouped((one for one in lied if one.number not in out), truths.hide):
        yield f"{attack}: {_who(some)}{when} {_hidden(why, some, truths)}"


def _telling(hidden: Sequence[Judged], honest: Sequence[Judged], lies: range) -> dict[range, list[Judged]]:
    """Of those whom a part of the rounds alone tells from honest peers, what was concluded in the part that says most.

    A part counts where no honest peer had one as bad, of the same length and whenever: bad rounds befall everybody.
    """
    lengths = [len(lies) >> halved for halved in range(1, len(lies).bit_length())] if hidden else []
    parts = [[rounds for rounds in _stretches(lies, length) if _judged_in(rounds, honest)] for length in lengths]
    worst = [_Truths.of(*([one.within(rounds) for one in honest] for rounds in part)) for part in parts]
    found: dict[range, list[Judged]] = defaultdict(list)
    for liar in hidden:
        telling = [
            (truths.excess(there) * len(rounds), -len(rounds), rounds, there)
            for part, truths in zip(parts, worst, strict=True)
            for rounds in part
            if truths.are_left_in_a_part_by(there := liar.within(rounds), len(rounds) / len(lies))
        ]
        if telling:
            *_, rounds, there = max(telling, key=lambda one: one[:2])
            found[rounds].append(there)
    return found


def _judged_in(rounds: range, honest: Iterable[Judged]) -> bool:
    """Was any of them judged then?  Against nobody, nobody stands out."""
    return any(number in rounds for one in honest for number in one.by_round)


def _stretches(rounds: range, length: int) -> list[range]:
    """So many rounds in a row, every half of it anew, to the very last."""
    last = rounds.stop - length
    starts = [*range(rounds.start, last, max(length // 2, 1)), last]
    return [range(start, start + length) for start in starts]


@dataclass(frozen=True, slots=True)
class _Truths:
    """How honest peers were treated: what a liar must differ from to be seen."""

    left_out: float                             # of whom most was left out
    left_out_mean: float
    refused: float                              # of whoever was refused most often
    distance_ratio: float                       # of whoever is farthest
    rounds: float                               # in which each judge of a peer in the middle heard it
    enough: float                               # in so many somebody must have judged a peer, or it says little
    of_whom: str                                # for a person: of all of them, or of those judged often enough

    @classmethod
    def of(cls, *parts: Iterable[Judged]) -> _Truths:
        """Of honest peers, in one part of the rounds or the extremes over several."""
        seen = [[one for one in part if one.said] for part in parts]
        honest = [one for part in seen for one in often(part)]
        return cls(
            left_out=max((one.left_out for one in honest), default=0.0),
            left_out_mean=_mean(one.left_out for one in honest),
            refused=max((one.refused for one in honest), default=0.0),
            distance_ratio=max((one.distance_ratio or 1.0 for one in honest), default=1.0),
            rounds=median([one.rounds for one in honest] or [0.0]),
            enough=max((rounds_enough(part) for part in seen), default=0.0),
            of_whom="honest peer" + " that was judged as often" * (len(honest) < sum(map(len, seen))),
        )

    def excess(self, liar: Judged) -> float:
        """How much more of `liar` was left out, or how much oftener it was refused, than any of them."""
        return max(liar.left_out - self.left_out, liar.refused - self.refused)

    def are_left_by(self, liar: Judged, apart: float = APART) -> bool:
        """Does what was concluded of `liar` set it apart from every honest peer?"""
        is_far = self._are_nearer(liar) and liar.left_out >= self.left_out_mean
        return self.excess(liar) >= apart or is_far

    def are_left_in_a_part_by(self, liar: Judged, share: float) -> bool:
        """The same in a `share` of all rounds, which is the more chance the smaller it is."""
        is_judged = len(liar.by_round) >= self.enough and len(liar.said) >= FEW_VERDICTS
        return is_judged and self.are_left_by(liar, min(APART / sqrt(share), MOSTLY))

    def _are_nearer(self, liar: Judged) -> bool:
        return (liar.distance_ratio or 0.0) >= max(FAR, 2 * self.distance_ratio)

    def shown_by(self, liar: Judged) -> str:
        """What of a liar that stands out says it best."""
        is_refused = liar.refused >= self.refused + APART
        if is_refused and (liar.refused >= MOSTLY or liar.left_out < self.left_out + APART):
            return "refused"
        return "let in" if liar.left_out >= self.left_out + APART else "far"

    def hide(self, liar: Judged) -> str:
        """Why a liar does not stand out."""
        if liar.rounds < SELDOM * self.rounds or not liar.said:
            return "seldom judged"
        return "kept" if liar.left_out < self.left_out_mean + APART else "as some honest"


def _visible(seen: str, liars: Sequence[Judged], truths: _Truths, of: str) -> str:
    """What befell liars that stand out; of: whose share refusals are."""
    if seen == "refused":
        shares, most = _shares(one.refused for one in liars), percent(truths.refused)
        return f"{_were(liars)} refused in {shares} of {of}; no {truths.of_whom} in more than {most}"
    if seen == "let in":
        shares, least = _shares(1 - one.left_out for one in liars), percent(1 - truths.left_out)
        others = "whole" if least == percent(1) else f"by at least {least}"
        return f"{_were(liars)} let in by {shares} on average; every {truths.of_whom} {others}"
    far = _from_to([f"{times:.0f}" for times in sorted(one.distance_ratio or 0.0 for one in liars)])
    return (
        f"{_were(liars)} {far} times as far away as honest neighbors in the middle, honest peers at most "
        f"{truths.distance_ratio:.1f} times; of some of them the rule leaves nearly as much out"
    )


def _incomparable(liars: Sequence[Judged]) -> str:
    """What befell liars, all of them judged or none, where no honest peer was."""
    if not any(one.said for one in liars):
        return f"{_were(liars)} judged by nobody"
    shares = _shares(1 - one.left_out for one in liars)
    return (
        f"{_were(liars)} let in by {shares} on average; no honest peer was judged beside {_them(liars)}, so verdicts "
        "do not tell who lies"
    )


def _hidden(why: str, liars: Sequence[Judged], truths: _Truths) -> str:
    if why == "seldom judged":
        rounds = _from_to([f"{rounds:.1f}" for rounds in sorted(one.rounds for one in liars)])
        return (
            f"{_were(liars)} judged in {rounds} rounds by whoever heard it, honest peers in {truths.rounds:.1f}: "
            "silent, or kept out before any rule could judge"
        )
    if why == "kept":
        return f"{_were(liars)} kept like honest peers: this attack is not visible in distances"
    return (
        f"{_were(liars)} left out by {_shares(one.left_out for one in liars)}, honest peers by "
        f"{percent(truths.left_out_mean)} on average, but some of them as much: verdicts alone do not tell who lies"
    )


def _grouped(liars: Iterable[Judged], key: Callable[[Judged], str]) -> Iterable[tuple[str, list[Judged]]]:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for one in liars:
        groups[key(one)].append(one)
    return groups.items()


def _who(liars: Sequence[Judged]) -> str:
    return peers_text(one.number for one in liars)


def _were(liars: Sequence[Judged]) -> str:
    return "were" if len(liars) > 1 else "was"


def _them(liars: Sequence[Judged]) -> str:
    return "them" if len(liars) > 1 else "it"


def _in(rounds: range) -> str:
    return f"in rounds {rounds[0]} to {rounds[-1]}" if len(rounds) > 1 else f"in round {rounds[0]}"


def _shares(shares: Iterable[float]) -> str:
    """From the least to the most: a mean may be nobody's."""
    return f"{_from_to([f'{100 * share:.0f}' for share in sorted(shares)])} %"


def _from_to(ascending: Sequence[str]) -> str:
    return ascending[0] if ascending[0] == ascending[-1] else f"{ascending[0]} to {ascending[-1]}"


def _mean(shares: Iterable[float]) -> float:
    return fmean([*shares] or [0.0])
