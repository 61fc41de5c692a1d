"""Who I average with: my neighbors, and every edge agreed by both ends.

`static`: the neighbors are named, and a link to one makes it a neighbor.  `auto`: while the federation is small,
everyone; above that a symmetric random view, grown by ASK / AGREE / DECLINE after HyParView (Leitao et al. 2007): I ask
random peers until I have `degree` neighbors and accept a few more than that, so that a newcomer always finds a place.
Every few rounds one neighbor is exchanged for another, because graphs that are drawn anew mix better than a fixed one
(de Vos et al. 2023).  Whom I doubt (trust.py) goes first and is asked last; among the others chance decides, or the
newest, of whom I know the least, would always be the one to go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gossipfl.config import OverlayConfig
from gossipfl.identity import PeerId
from gossipfl.protocol.events import Dice
from gossipfl.protocol.trust import Trust
from gossipfl.wire.messages import Neighbor

_ASK_S = 3.0                         # an unanswered ask is void after this
_DECLINED_S = 10.0                   # a peer that declined is not asked again before this


class View:
    """My neighbors, and my asks that are still open."""

    def __init__(self, overlay: OverlayConfig, dice: Dice, trust: Trust | None = None) -> None:
        self._overlay, self._dice, self.trust = overlay, dice, trust or Trust()
        # No set: what is iterated must have the same order in every process, or a seed would not repeat a run.
        named = dict.fromkeys(PeerId.parse(name) for name in overlay.neighbors)
        self.named = named if overlay.kind == "static" else None
        self.neighbors: dict[PeerId, bool] = {}          # -> chosen by me
        self._asked: dict[PeerId, float] = {}            # -> void at
        self._declined: dict[PeerId, float] = {}         # -> may be asked again at
        self._let_go: set[PeerId] = set()                # those of them that I let go
        self._exchanging: bool = False                   # one neighbor more than needed, to let another go

    def wanted(self, present: int) -> int:
        """How many neighbors I should have while `present` other peers are there."""
        if self.named is not None:
            return len(self.named)
        return present if present < self._overlay.mesh_peers_max else self._overlay.degree

    def missing(self, present: int) -> int:
        """How many more neighbors to look for; open asks do not count yet."""
        return max(self.wanted(present) + self._exchanging - len(self.neighbors), 0)

    def accepts_up_to(self, present: int) -> int:
        return self.wanted(present) + self._overlay.degree_slack

    def free(self, linked: Iterable[PeerId]) -> list[PeerId]:
        """Those of `linked` that could be asked."""
        taken = self.neighbors.keys() | self._asked.keys() | self._declined.keys()
        return sorted(set(linked) - taken)

    def asks(self, linked: Iterable[PeerId], present: int, now: float) -> list[PeerId]:
        """Linked peers to ask now."""
        self._asked = {peer: at for peer, at in self._asked.items() if at > now}
        self._declined = {peer: at for peer, at in self._declined.items() if at > now}
        self._let_go &= self._declined.keys()
        missing = self.missing(present) - len(self._asked)
        if self.named is not None or missing <= 0:
            return []
        chosen = self.draw(self.free(linked), missing)
        self._asked.update((peer, now + _ASK_S) for peer in chosen)
        return chosen

    def draw(self, peers: list[PeerId], count: int) -> list[PeerId]:
        """At most `count` of `peers` at random; those I doubt only where the others are not enough."""
        good = [peer for peer in peers if not self.trust.doubts(peer)]
        chosen = self._dice.sample(good, min(count, len(good)))
        doubted = [peer for peer in peers if self.trust.doubts(peer)] if len(good) < count else []
        return chosen + (self._dice.sample(doubted, min(count - len(good), len(doubted))) if doubted else [])

    def is_asked(self, peer: PeerId) -> bool:
        return peer in self._asked

    def unask(self, peer: PeerId) -> None:
        """The link that carried my ask is replaced: ask again over the other."""
        self._asked.pop(peer, None)

    def linked(self, peer: PeerId) -> bool:
        """A link to `peer` is established.  Returns whether that alone makes it a neighbor."""
        if self.named is not None and peer in self.named:
            self.neighbors[peer] = True
            return True
        return False

    def answer(self, peer: PeerId, ask: Neighbor, there: Collection[PeerId]) -> Neighbor:
        """Agree to an ask if there is room; the empty-handed are let in beyond it.

        `urgent` is the asker's own word.  So it gets no place of another for whom I doubt, nor back for whom I let go:
        neither asks the other for a while then.
        """
        if self.named is not None:
            return Neighbor(kind="agree" if peer in self.named else "decline")
        if peer in self.neighbors or peer in self._asked or self._has_room(peer, ask, there):
            self.neighbors.setdefault(peer, self._asked.pop(peer, None) is not None)
            return Neighbor(kind="agree")
        return Neighbor(kind="decline")

    def _has_room(self, peer: PeerId, ask: Neighbor, there: Collection[PeerId]) -> bool:
        is_doubted = self.trust.doubts(peer)
        if peer in self._let_go or (is_doubted and not ask.urgent and self._has_better(there)):
            return False
        present, is_urgent = len(there), ask.urgent and not is_doubted
        room = self.accepts_up_to(present) + is_urgent
        inbound = sum(not chosen for chosen in self.neighbors.values())
        # An eclipse needs more than calling me: some places stay for peers that I choose myself.
        keeps_own = inbound < max(room - self._overlay.dialed_min, 1) or present < self._overlay.mesh_peers_max
        # The empty-handed are let in even by the full, who then let another go: nobody may be left out by all, as the
        # ninth was by eight who all held all and wanted no more than six.
        return keeps_own and (is_urgent or len(self.neighbors) + len(self._asked) < room)

    def _has_better(self, there: Iterable[PeerId]) -> bool:
        """Is anybody there who is no neighbor of mine and whom I do not doubt?"""
        return any(peer not in self.neighbors and not self.trust.doubts(peer) for peer in there)

    def answered(self, peer: PeerId, answer: Neighbor, now: float) -> bool:
        """Their answer to my ask.  Returns whether `peer` is a new neighbor."""
        if self._asked.pop(peer, None) is None:
            return False
        if answer.kind == "decline":
            self.rest(peer, now)
            return False
        is_new = peer not in self.neighbors
        self.neighbors[peer] = True
        return is_new

    def drop(self, peer: PeerId) -> bool:
        """`peer` is gone or no longer wants to.  Returns whether it was a neighbor."""
        self._asked.pop(peer, None)
        return self.neighbors.pop(peer, None) is not None

    def rest(self, peer: PeerId, now: float) -> None:
        """One of us let the other go: I do not ask it again for a while."""
        self._declined[peer] = now + _DECLINED_S

    def let_go(self, peer: PeerId, now: float) -> None:
        """I let `peer` go: nor do I have it back for a while."""
        self.rest(peer, now)
        self._let_go.add(peer)

    def exchange(self, present: int) -> None:
        """Time to draw anew: look for one more neighbor, so that one of the old can go."""
        if self.named is None and present >= self._overlay.mesh_peers_max:
            self._exchanging = True

    def surplus(self, present: int, newest: PeerId) -> PeerId | None:
        """After `newest` joined: the neighbor that goes, in exchange or because there are too many.

        One that I doubt is nobody's exchange: it goes before any that I do not, even if it came just now.
        """
        is_doubted = self.trust.doubts(newest)
        is_exchange = self._exchanging and len(self.neighbors) > self.wanted(present)
        is_exchange &= self.neighbors[newest] or not is_doubted          # chosen by me: nobody better was there
        if self.named is not None or not (is_exchange or len(self.neighbors) > self.accepts_up_to(present)):
            return None
        self._exchanging = False
        old = [peer for peer in sorted(self.neighbors) if peer != newest or is_doubted]
        doubted = [peer for peer in old if self.trust.doubts(peer)]
        if doubted:
            return min(doubted, key=self.trust.of)
        return self._dice.sample(old, 1)[0] if old else None

    def due(self) -> float:
        return min([*self._asked.values(), *self._declined.values()], default=float("inf"))
