"""Who is connected: one live link per peer, agreed by both ends, and the memory of who broke the rules.

    LinkUp -> HELLO both ways -> established -> ... -> LinkDown

Two links to one peer are normal where peers find each other at once.  The one dialed by the smaller peer ID survives,
and the other is closed only after the survivor has carried a HELLO, so that both ends choose alike (the rule of
rust-libp2p).  Of two links with one caller the caller closes the older; the called end cannot know which that is, so it
listens to both until one ends.  Whom to dial is the dialer's business, what flows over a link everybody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gossipfl.config import LimitsConfig, LivenessConfig
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.protocol.events import CloseLink, Effect, LinkUp, Send, Story
from gossipfl.wire.messages import VERSION, CloseCode, Hello, Ping, Pong

_CLOCK_STEP_S = 1.0                  # liveness is looked at this often
_TOLD_MAX = 16                       # different complaints about one peer that are logged
_REPLACE_S = 2.0                     # an old link must answer within this when its peer seems to have started again
_SPARE_S = 5.0                       # whoever called twice closes one of the links within this
_STRIKES_HALVE_S = 86_400.0          # guess; a node that runs for months forgives what happened once in a while


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
    replace_by: float | None = None  # dead at this time unless heard before ...
    doubted_by: bytes | None = None  # ... because of a link with the same key and this boot nonce
    answered: bytes | None = None    # the boot nonce in spite of which this link was alive
    spare_until: float | None = None # its caller called again, and closes this link or the other before this
    may_lag: bool = False            # there was another link: until this one has brought news, it may bring older ones
    is_closing: bool = False

    def dialer(self, me: PeerId) -> PeerId:
        return me if self.dialed else self.peer


@dataclass(slots=True)
class Record:
    """What is remembered of a peer's manners."""

    strikes: int = 0
    struck_at: float = 0.0
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

    # ------------------------------------------------------------------------------------- from up to down

    def up(self, event: LinkUp, hello: Hello, now: float) -> list[Effect]:
        """A new connection: greet, or refuse a banned peer."""
        link = self._links[event.link] = Link(event.link, event.peer, event.dialed, event.address, now, now)
        if self.is_banned(event.peer, now):
            return [self._close(link, CloseCode.BANNED, "banned for breaking the protocol")]
        return [Send(event.link, hello)]

    def refuse(self, link: Link, hello: Hello, now: float) -> list[Effect]:
        """Close a link whose HELLO is of another federation, model or version, or of a banned peer; [] if it fits."""
        refusal = self._refusal(link, hello, now)
        return self._refuse(link, *refusal, now) if refusal is not None else []

    def greeted(self, link: Link, hello: Hello, now: float) -> tuple[bool, list[Effect]]:
        """A HELLO that fits.  Returns whether `link` is now its peer's one established link, and what to do."""
        link.hello = hello
        rival = self.by_peer.get(link.peer)
        if rival is None:
            self.by_peer[link.peer] = link
            return True, []
        return self._settle(link, rival, now)

    def down(self, number: int) -> Link | None:
        """Forget a connection.  Returns it if it was the established link of its peer; a spare one takes its place."""
        link = self._links.pop(number, None)
        if link is None or self.by_peer.get(link.peer) is not link:
            return None
        del self.by_peer[link.peer]
        heir = next((ln for ln in self._links.values() if ln.peer == link.peer and ln.spare_until is not None), None)
        if heir is not None:
            heir.spare_until = None
            self.by_peer[link.peer] = heir
        return link

    def _settle(self, link: Link, rival: Link, now: float) -> tuple[bool, list[Effect]]:
        """Two links to one peer: which survives?"""
        assert link.hello is not None
        assert rival.hello is not None
        if link.hello.boot != rival.hello.boot:
            return False, self._doubt(rival, link, link.hello.boot, now)
        mine, theirs = link.dialer(self.me), rival.dialer(self.me)
        # Of two calls of mine the later survives, as the other end expects: over the earlier may come old news only.
        if mine > theirs or (mine == theirs == self.me and link.number < rival.number):
            return False, [self._close(link, CloseCode.DUPLICATE, "another link survives")]
        self.by_peer[link.peer], link.may_lag = link, True
        if mine == theirs == link.peer:                  # called twice: the caller knows which one it gave up
            rival.spare_until, rival.may_lag = now + _SPARE_S, True
            return True, []
        return True, [self._close(rival, CloseCode.DUPLICATE, "another link survives")]

    def _doubt(self, rival: Link, link: Link, boot: bytes, now: float) -> list[Effect]:
        """The key of `rival` calls from another start: it started again, or it runs on two machines.

        The old link gets a moment to answer, and the newcomer is asked to call again.  If the old link is silent it
        makes room; if it answers, the newcomer is the copy.
        """
        if rival.answered == boot:
            return self._refuse(link, CloseCode.IDENTITY_IN_USE, "its key is in use on another link", now)
        if rival.replace_by is None:
            rival.replace_by, rival.doubted_by = now + _REPLACE_S, boot
            self.due = min(self.due, rival.replace_by)
        return [self._ping(rival), self._close(link, CloseCode.BUSY, "an old link of this key is being tried")]

    # --------------------------------------------------------------------------------------------- refusals

    def _refusal(self, link: Link, hello: Hello, now: float) -> tuple[CloseCode, str] | None:
        low, high = hello.versions
        if self.is_banned(link.peer, now):
            return CloseCode.BANNED, "banned for breaking the protocol"
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

    def _refuse(self, link: Link, code: CloseCode, text: str, now: float) -> list[Effect]:
        told = self.tell_once(link.peer, f"refused: {text}", now) if code != CloseCode.DUPLICATE else []
        return [self._close(link, code, text[:200]), *told]

    def _close(self, link: Link, code: CloseCode, text: str) -> Effect:
        link.is_closing, link.spare_until = True, None
        return CloseLink(link.number, code, text)

    # -------------------------------------------------------------------------------------------- liveness

    def heard(self, link: Link, now: float) -> None:
        link.heard_at = now
        if link.replace_by is not None:
            link.replace_by, link.answered = None, link.doubted_by

    def ponged(self, link: Link, pong: Pong) -> None:
        if pong.nonce == link.ping:
            link.ping = None

    def silent(self, now: float, late_s: float) -> list[Link]:
        """Links that are dead by now.  My own lateness `late_s` is nobody else's silence."""
        self.due = now + _CLOCK_STEP_S
        for link in self._links.values():
            link.heard_at = min(now, link.heard_at + late_s)
            if link.replace_by is not None:
                link.replace_by += late_s
                self.due = min(self.due, link.replace_by) if link.replace_by > now else self.due
        return [link for link in self._links.values() if not link.is_closing and self._is_dead(link, now)]

    def _is_dead(self, link: Link, now: float) -> bool:
        overdue = link.replace_by is not None and now >= link.replace_by
        return now - link.heard_at >= self._liveness.dead_s or overdue

    def look_after(self, now: float) -> list[Effect]:
        """Ping the idle, and close what a caller left open beside a newer link."""
        effects: list[Effect] = []
        for link in list(self._links.values()):
            if link.spare_until is not None and now >= link.spare_until:
                effects.append(self._close(link, CloseCode.DUPLICATE, "another link survives"))
            elif now - link.heard_at >= self._liveness.ping_idle_s and link.hello is not None and not link.is_closing:
                effects.append(self._ping(link))
        return effects

    def _ping(self, link: Link) -> Effect:
        if link.ping is None:
            self._pings += 1
            link.ping = self._pings
        return Send(link.number, Ping(nonce=link.ping))

    # --------------------------------------------------------------------------------------------- manners

    def is_banned(self, peer: PeerId, now: float) -> bool:
        record = self.manners.get(peer)
        return record is not None and record.banned_until > now

    def thrown_out(self) -> int:
        """How many peers broke a rule and are not linked since."""
        return sum(record.strikes > 0 and peer not in self.by_peer for peer, record in self.manners.items())

    def strike(self, peer: PeerId, now: float, *, final: bool = False) -> bool:
        """Count a broken rule.  Returns whether the peer is banned for it; a ban doubles with each further one.

        Old ones fade: every day since the last leaves half of them.

        `final`: one that is never forgiven.
        """
        record = self._record(peer)
        record.strikes = (record.strikes >> int((now - record.struck_at) // _STRIKES_HALVE_S)) + 1
        record.struck_at = now
        excess = record.strikes - self._limits.strikes_max
        if final:
            record.banned_until = float("inf")
        elif excess >= 0:
            record.banned_until = max(record.banned_until, now + self._limits.ban_s * 2 ** min(excess, 7))
        return self.is_banned(peer, now)

    def ban(self, peer: PeerId) -> None:
        """For good, and no strike: it has done nothing here."""
        self._record(peer).banned_until = float("inf")

    def tell_once(self, peer: PeerId, text: str, now: float) -> list[Effect]:
        """A line about `peer` for the log, unless it was told before."""
        told = self._record(peer).told
        if text in told or len(told) >= _TOLD_MAX:
            return []
        told.add(text)
        return [Story("!", f"{peer.short} {text}", loud=True)]

    def _record(self, peer: PeerId) -> Record:
        """The record of `peer`; beyond the bound goes whose ban ends first, or the oldest that is not banned."""
        if peer not in self.manners and len(self.manners) >= self._limits.directory_records_max:
            del self.manners[min(self.manners, key=lambda other: self.manners[other].banned_until)]
        return self.manners.setdefault(peer, Record())
