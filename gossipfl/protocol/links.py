"""Who is connected: one live link per peer, agreed by both ends, and the memory of who broke the rules.

    LinkUp -> HELLO both ways -> established -> ... -> LinkDown

Two links to one peer are normal where peers find each other at once.  The one dialed by the smaller peer ID survives,
and the other is closed only after the survivor has carried a HELLO, so that both ends choose alike (the rule of
rust-libp2p).  Whom to dial is the dialer's business, what flows over a link everybody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gossipfl.config import LimitsConfig, LivenessConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.protocol.events import CloseLink, Effect, LinkUp, Send, Story
from gossipfl.wire.messages import VERSION, CloseCode, Hello, Ping, Pong

_CLOCK_STEP_S = 1.0                  # liveness is looked at this often
_TOLD_MAX = 16                       # different complaints about one peer that are logged
_REPLACE_S = 2.0                     # an old link must answer within this when its peer seems to have started again


class TooManyStrikes(PeerError):
    """The peer broke the rules once more than allowed."""


@dataclass(slots=True)
class Link:
    """One authenticated connection."""

    number: int
    peer: PeerId
    dialed: bool
    address: str
    heard_at: float
    used_at: float
    hello: Hello | None = None
    ping: int | None = None          # nonce on its way
    replace_by: float | None = None  # dead at this time unless heard before
    transfers: dict[int, bytes] = field(default_factory=dict)       # wanted by them: transfer -> root

    def dialer(self, me: PeerId) -> PeerId:
        return me if self.dialed else self.peer


@dataclass(slots=True)
class Record:
    """What is remembered of a peer's manners."""

    strikes: int = 0
    banned_until: float = 0.0
    told: set[str] = field(default_factory=set)                      # refusals already logged


class Links:
    """All connections of one peer."""

    def __init__(
        self, me: PeerId, federation: Federation, boot: bytes, limits: LimitsConfig, liveness: LivenessConfig
    ) -> None:
        self.me, self._federation, self._boot = me, federation, boot
        self._limits, self._liveness = limits, liveness
        self._links: dict[int, Link] = {}
        self.by_peer: dict[PeerId, Link] = {}            # established: HELLO checked, one per peer
        self.manners: dict[PeerId, Record] = {}
        self._pings = 0
        self.due = 0.0

    def __iter__(self) -> Iterator[Link]:
        """Every established link."""
        return iter(list(self.by_peer.values()))

    def get(self, number: int) -> Link | None:
        return self._links.get(number)

    def up(self, event: LinkUp, hello: Hello, now: float) -> list[Effect]:
        """A new connection: greet, or refuse a banned peer."""
        self._links[event.link] = Link(event.link, event.peer, event.dialed, event.address, now, now)
        if self.is_banned(event.peer, now):
            return [self._close(event.link, CloseCode.BANNED, "banned for breaking the protocol")]
        return [Send(event.link, hello)]

    def is_established(self, link: Link) -> bool:
        return self.by_peer.get(link.peer) is link

    def down(self, number: int) -> Link | None:
        """Forget a connection.  Returns it if it was the established link of its peer."""
        link = self._links.pop(number, None)
        if link is None or self.by_peer.get(link.peer) is not link:
            return None
        del self.by_peer[link.peer]
        return link

    def greeted(self, link: Link, hello: Hello, now: float) -> tuple[bool, list[Effect]]:
        """The other end's HELLO.  Returns whether `link` is now its peer's one established link, and what to do."""
        refusal = self._refusal(link, hello)
        if refusal is not None:
            return False, self._refuse(link, *refusal)
        link.hello = hello
        rival = self.by_peer.get(link.peer)
        if rival is None:
            self.by_peer[link.peer] = link
            return True, []
        return self._settle(link, rival, now)

    def heard(self, link: Link, now: float) -> None:
        link.heard_at, link.replace_by = now, None

    def ponged(self, link: Link, pong: Pong) -> None:
        if pong.nonce == link.ping:
            link.ping = None

    def is_banned(self, peer: PeerId, now: float) -> bool:
        record = self.manners.get(peer)
        return record is not None and record.banned_until > now

    def strike(self, peer: PeerId, now: float, *, final: bool = False) -> bool:
        """Count a broken rule.  Returns whether the peer is banned for it; a ban doubles with each further one."""
        record = self.manners.setdefault(peer, Record())
        record.strikes += 1
        excess = record.strikes - self._limits.strikes_max
        if final or excess >= 0:
            record.banned_until = now + self._limits.ban_s * 2 ** min(max(excess, 0), 7)
        return self.is_banned(peer, now)

    def tell_once(self, peer: PeerId, text: str) -> list[Effect]:
        """A line about `peer` for the log, unless it was told before."""
        told = self.manners.setdefault(peer, Record()).told
        if text in told or len(told) >= _TOLD_MAX:
            return []
        told.add(text)
        return [Story("!", f"{peer.short} {text}", loud=True)]

    def tick(self, now: float, late_s: float) -> list[Effect]:
        """Ping the idle, close the silent.  My own lateness `late_s` is nobody else's silence."""
        effects: list[Effect] = []
        self.due = now + _CLOCK_STEP_S
        for link in list(self._links.values()):
            link.heard_at = min(now, link.heard_at + late_s)
            silent_s = now - link.heard_at
            overdue = link.replace_by is not None and now >= link.replace_by
            if silent_s >= self._liveness.dead_s or overdue:
                effects += [self._close(link.number, CloseCode.SILENT, f"silent for {silent_s:.0f} s")]
            elif silent_s >= self._liveness.ping_idle_s and link.hello is not None:
                effects += [self._ping(link)]
        return effects

    def _refusal(self, link: Link, hello: Hello) -> tuple[CloseCode, str] | None:
        low, high = hello.versions
        if not low <= VERSION <= high:
            return CloseCode.OTHER_VERSION, f"speaks protocol {low} to {high}, this peer speaks {VERSION}"
        if hello.federation != self._federation.fingerprint:
            return CloseCode.VIOLATION, "names another federation than its handshake"
        if link.peer == self.me:
            same = hello.boot == self._boot
            return (CloseCode.DUPLICATE, "myself") if same else (CloseCode.IDENTITY_IN_USE, "has my own key: copied?")
        if hello.terms != self._federation.terms:
            return CloseCode.OTHER_MODEL, f"trains {hello.summary}; this peer trains {self._federation.summary}"
        return None

    def _refuse(self, link: Link, code: CloseCode, text: str) -> list[Effect]:
        told = self.tell_once(link.peer, f"refused: {text}") if code != CloseCode.DUPLICATE else []
        return [self._close(link.number, code, text[:200]), *told]

    def _settle(self, link: Link, rival: Link, now: float) -> tuple[bool, list[Effect]]:
        """Two links to one peer: which survives?"""
        assert link.hello is not None
        assert rival.hello is not None
        if link.hello.boot != rival.hello.boot:
            # Either the peer started again and its old link does not know yet, or its key runs on two machines.
            # The old link gets a moment to answer; the newcomer will call again.
            rival.replace_by = now + _REPLACE_S
            refusal = self._refuse(link, CloseCode.IDENTITY_IN_USE, "its key is in use on another link")
            return False, [self._ping(rival), *refusal]
        mine, theirs = link.dialer(self.me), rival.dialer(self.me)
        if mine == theirs or mine < theirs:              # called twice: the caller gave up the older one
            self.by_peer[link.peer] = link
            return True, [self._close(rival.number, CloseCode.DUPLICATE, "another link survives")]
        return False, [self._close(link.number, CloseCode.DUPLICATE, "another link survives")]

    def _ping(self, link: Link) -> Effect:
        if link.ping is None:
            self._pings += 1
            link.ping = self._pings
        return Send(link.number, Ping(nonce=link.ping))

    def _close(self, number: int, code: CloseCode, text: str) -> Effect:
        return CloseLink(number, code, text)
