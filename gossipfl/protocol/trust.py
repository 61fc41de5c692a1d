"""How far I trust each peer, 0..1, from what my rule made of its models.  My own opinion, told to nobody.

    score <- forget * score + (1 - forget) * evidence,    forget = 2 ** (-1 / HALF_LIFE_ROUNDS)

Decides what is remembered of a peer and how fast it fades.  Where evidence comes from is node/verdicts.py, what follows
from a score view.py's choice of neighbors.  Scores are not relayed: a liar would praise liars and slander the honest,
and what is far from my model may be near to another's.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from gossipfl.identity import PeerId

STRANGER = 0.5                       # of whom nothing is known; a new key is cheap, so it is worth no more than this
DOUBTED_BELOW = 0.25                 # a stranger comes here after HALF_LIFE_ROUNDS rounds of nothing but refusals
HALF_LIFE_ROUNDS = 20.0              # guess: two re-wirings; a liar is out soon, a bad moment costs nobody its place
FADES_ROUNDS = 200.0                 # guess: half of what I think of a peer is forgotten while I do not hear it for so
                                     # long, so that whoever was wronged, or has mended, is tried again
TRUST_MAX = 4096                     # remembered; as many as a directory holds by default
_WRITE_FROM = 0.01                   # a smaller change is not worth a write ...
_WRITE_ROUNDS = HALF_LIFE_ROUNDS     # ... unless what is written is older than this, and would fade after a restart
Row = tuple[PeerId, float, int]      # a peer, its score, and my round in which it was formed


class Trust:
    """Scores of peers that I averaged with."""

    def __init__(self, rows: Iterable[Row] = (), liars: Collection[PeerId] = ()) -> None:
        """rows: what was remembered from last time, the one formed last at the end; liars: who is proven to be one."""
        self._liars = liars
        self._scores: dict[PeerId, tuple[float, int]] = {peer: (score, round_) for peer, score, round_ in rows}
        self._written = dict(self._scores)
        self._now, self._begun = 0, False

    def learn(self, round_: int, evidence: Mapping[PeerId, float]) -> list[Row]:
        """Take in a round's evidence, 0..1 per peer.  Returns the rows to remember."""
        if not self._begun:                              # formed in an earlier training, whose rounds are not mine
            self._scores = {peer: (score, min(formed, round_)) for peer, (score, formed) in self._scores.items()}
        self._begun, self._now = True, max(round_, self._now)
        forget = math.exp2(-1.0 / HALF_LIFE_ROUNDS)
        changed = []
        for peer, seen in sorted(evidence.items()):
            before = self.of(peer)
            score = forget * before + (1.0 - forget) * min(max(seen, 0.0), 1.0)
            self._scores.pop(peer, None)                 # the one heard last stands last
            self._scores[peer] = (score, self._now)
            if self._is_worth_writing(peer):
                self._written[peer] = self._scores[peer]
                changed.append((peer, score, self._now))
        while len(self._scores) > TRUST_MAX:
            oldest = next(iter(self._scores))
            del self._scores[oldest]
            self._written.pop(oldest, None)
        return changed

    def _is_worth_writing(self, peer: PeerId) -> bool:
        (score, now), (written, at) = self._scores[peer], self._written.get(peer, (STRANGER, self._now))
        return abs(score - written) >= _WRITE_FROM or now - at >= _WRITE_ROUNDS

    def of(self, peer: PeerId) -> float:
        """My trust in `peer` now; none in a proven liar."""
        if peer in self._liars:
            return 0.0
        score, formed = self._scores.get(peer, (STRANGER, self._now))
        missed = max(self._now - formed - 1, 0)          # rounds between the last evidence and now
        return STRANGER + (score - STRANGER) * math.exp2(-missed / FADES_ROUNDS)

    def knows(self, peer: bytes) -> bool:
        """Whether I have averaged with `peer`."""
        return peer in self._scores

    def doubts(self, peer: PeerId) -> bool:
        """Whether I had rather average with anybody else."""
        return self.of(peer) < DOUBTED_BELOW
