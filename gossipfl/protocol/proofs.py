"""Who is proven to lie: the contradictions that I hold, and which of my links has still to hear of them.

    proof shown -> knows its signer? -> has room? -> contradiction -> keep -> tell, one link at a time

A key costs nothing, so neither does a proof about one.  Therefore I look only at proofs about peers that I know, keep
few about peers that I never averaged with, and tell each link no more than one in a while, however many I was told.
Whom a link did not know yet it may know later, so it hears all a moment after link-up, when directories are alike, and
all again now and then.  Who is banned for a proof is membership.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, KeysView, Mapping
from dataclasses import dataclass, field

from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.protocol.events import Effect, Send
from gossipfl.protocol.links import Link
from gossipfl.wire.manifest import open_manifest
from gossipfl.wire.messages import Proof

PROOFS_MAX = 1000                    # held, in memory and on disk, one per signer; the oldest makes room
HEARSAY_MAX = PROOFS_MAX // 2        # of these about peers that I never averaged with: they push out nobody else
HEARSAY_PER_TELLER_MAX = 32          # the same from one link: guess, above what honest relays ever have
_TELL_EVERY_S = 1.0                  # one proof per link; a receiver allows control_rate_per_s of all messages


class NoProof(PeerError):
    """Two manifests that do not show a lie."""


@dataclass(frozen=True, slots=True)
class Held:
    """A proof, and how I came by it."""

    message: Proof
    teller: PeerId | None            # None: found by myself, or remembered from last time
    is_hearsay: bool                 # of somebody else about somebody that I never averaged with


@dataclass(slots=True)
class Queue:
    """What one link has still to hear, the next at the end."""

    all_at: float                    # when it is to hear all that I hold
    next_at: float = 0.0             # no sooner the next
    waiting: dict[PeerId, None] = field(default_factory=dict)

    @property
    def due(self) -> float:
        return min(self.all_at, self.next_at) if self.waiting else self.all_at


class Proofs:
    """One proof per proven liar."""

    def __init__(self) -> None:
        self._held: dict[PeerId, Held] = {}              # the oldest first
        self._queues: dict[PeerId, Queue] = {}           # of linked peers
        self.due = float("inf")

    @property
    def liars(self) -> KeysView[PeerId]:
        return self._held.keys()

    def has_room(self, teller: PeerId) -> bool:
        """May `teller` still show me proofs about peers that I never averaged with?"""
        hearsay = [held.teller for held in self._held.values() if held.is_hearsay]
        return len(hearsay) < HEARSAY_MAX and hearsay.count(teller) < HEARSAY_PER_TELLER_MAX

    def keep(self, liar: PeerId, held: Held) -> None:
        """Hold a proof that was verified, and tell it to all links but the one that it came from."""
        self._held[liar] = held
        if len(self._held) > PROOFS_MAX:
            del self._held[next(iter(self._held))]
        for queue in self._queues.values():
            queue.waiting[liar] = None                   # news goes before what is only told again
        self.due = 0.0

    # ------------------------------------------------------------------------------------------------ telling

    def linked(self, peer: PeerId, now: float) -> None:
        self._queues[peer] = Queue(now + _TELL_EVERY_S)
        self.due = min(self.due, now + _TELL_EVERY_S)

    def unlinked(self, peer: PeerId) -> None:
        self._queues.pop(peer, None)

    def tell_all(self, peer: PeerId, now: float) -> None:
        """Have a linked peer hear all again."""
        self._queues[peer].all_at = self.due = now

    def tell(self, links: Mapping[PeerId, Link], now: float) -> list[Effect]:
        """The next proof to every link whose turn has come."""
        if now < self.due:
            return []
        effects: list[Effect] = []
        for peer, queue in self._queues.items():
            if now >= queue.all_at:
                told = {liar: None for liar in self._held if liar not in queue.waiting}
                queue.all_at, queue.waiting = float("inf"), told | queue.waiting
            message = self._next(peer, queue) if now >= queue.next_at else None
            if message is not None:
                queue.next_at = now + _TELL_EVERY_S
                effects.append(Send(links[peer].number, message))
        self.due = min((queue.due for queue in self._queues.values()), default=float("inf"))
        return effects

    def _next(self, peer: PeerId, queue: Queue) -> Proof | None:
        while queue.waiting:
            liar, _ = queue.waiting.popitem()
            held = self._held.get(liar)
            if held is not None and held.teller != peer:
                return held.message
        return None


def contradiction(proof: Proof, federation: Federation) -> PeerId:
    """Who is proven to lie: believed because its signatures say so, not because of who shows them.

    Raises PeerError if nobody is.
    """
    one, other = open_manifest(proof.first), open_manifest(proof.second)
    ours = one.document.federation == other.document.federation == federation.fingerprint
    same = one.signer == other.signer and one.document.sequence == other.document.sequence
    if not (ours and same) or one.document.root == other.document.root:
        raise NoProof("two manifests that do not contradict each other")
    return one.signer


def remembered(pairs: Iterable[tuple[bytes, bytes]], federation: Federation) -> dict[PeerId, Proof]:
    """The proofs from last time, verified again: a disk is a stranger too."""
    found = {}
    for first, second in pairs:
        proof = Proof(first=first, second=second)
        try:
            found[contradiction(proof, federation)] = proof
        except PeerError:
            continue
    return found
