"""One peer: membership and averaging behind a single `handle(event, now) -> effects`.

The branching is in `handle` and `_message`.  A peer's broken rule surfaces here as PeerError: its link is closed, the
strike counted, and everything else goes on.  `now` is in seconds, never goes back, and starts near Unix time.
"""

from __future__ import annotations

from gossipfl.errors import PeerError
from gossipfl.identity import PeerId
from gossipfl.protocol.averaging import Averaging, raised_by
from gossipfl.protocol.events import (
    CloseLink,
    DialFailed,
    Effect,
    Event,
    Finished,
    Found,
    KeepTrust,
    LinkDown,
    LinkUp,
    Mixed,
    Ready,
    Received,
    Send,
    SnapshotReady,
    Stop,
    Story,
    Tick,
    Trained,
    Verified,
)
from gossipfl.protocol.ledger import Equivocation, Replay
from gossipfl.protocol.links import Link
from gossipfl.protocol.membership import Membership
from gossipfl.protocol.setup import Sequences, Setup
from gossipfl.wire import messages
from gossipfl.wire.messages import CHUNK, CloseCode, Hello, Message
from gossipfl.wire.records import Frame

# Messages that concern updates or a link's life alone: nothing about who is there follows from them.
_FLOW = frozenset(code for code, message in messages.TYPES.items() if message in (
    messages.Ping, messages.Pong, messages.Done, messages.Announce, messages.Want, messages.Cancel, messages.Refuse,
    messages.AskSnapshot, messages.Witness,
))  # fmt: skip
_LATE_S = 0.25                       # a Tick that comes later than this finds me, not the others, asleep


class OutOfTurn(PeerError):
    """HELLO must be the first message of a link, and only the first."""


class Undecodable(PeerError):
    """A payload whose bytes are as announced and still no update: its signer meant it so."""


class Peer:
    """All that one peer decides."""

    def __init__(self, setup: Setup, now: float) -> None:
        self.me = setup.identity.peer_id
        self._options = setup.options
        sequences = Sequences(setup.boots)
        self.averaging = Averaging(setup, sequences)
        self.membership = Membership(setup, sequences, self.averaging.met, self.averaging.parted, now)
        self._links = self.membership.links
        self._stopped = False
        self._is_stirred = True      # who is there, or who is mine, may have changed
        self._wake = self._membership_due = now

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What to do about `event`.  Never raises for what a peer or the network did."""
        if self._stopped:
            return []
        self._is_stirred = not isinstance(event, Received | Trained | Mixed | Verified | SnapshotReady)
        match event:
            case Received(number, frame) if frame.type == CHUNK:
                # Thousands of them make an update, and none but the last changes anything besides its buffer: what
                # follows from the state alone is asked again when that one is verified.
                return self._received(number, frame, now)
            case Received(number, frame):
                effects = self._received(number, frame, now)
            case Tick():
                effects = self._tick(now)
            case LinkUp():
                effects = self.membership.link_up(event, now)
            case LinkDown():
                effects = self._link_down(event, now)
            case Found():
                self.membership.dialer.found(event, now)
                effects = []
            case DialFailed(host, _):
                self.membership.dialer.failed(host, now)
                effects = []
            case Ready():
                effects = self._ready(event, now)
            case Trained():
                effects = self.averaging.trained(event, self.membership.neighbor_links(), now)
            case SnapshotReady():
                effects = self.averaging.snapshot_ready(event, now)
            case Verified():
                effects = self._verified(event, now)
            case Mixed():
                effects = self._mixed(event, now)
            case Stop():
                return self._stop()
        if self._is_stirred or now >= self._membership_due:
            effects += self.membership.onward(self.averaging.round.number, now)
            self._membership_due = self.membership.due
        effects += self.averaging.onward(self.membership.neighbor_links, self._links.thrown_out, now)
        self._wake = min(self._membership_due, self.averaging.due)
        return effects

    def wake_at(self) -> float:
        """When a Tick is due, unless something else happens before."""
        return self._wake

    # -------------------------------------------------------------------------------------------- frames

    def _received(self, number: int, frame: Frame, now: float) -> list[Effect]:
        link = self._links.get(number)
        if link is None or link.is_closing:
            return []                                    # closed by me while this was on its way
        self._links.heard(link, now)
        try:
            if frame.type == CHUNK:
                return self._chunk(link, frame, now)
            self._is_stirred = frame.type not in _FLOW
            message = messages.decode(frame, self._options.limits.control_bytes_max)
            return self._message(link, message, frame.id, now) if message is not None else []
        except PeerError as error:
            return self._broken(link, error, now)

    def _chunk(self, link: Link, frame: Frame, now: float) -> list[Effect]:
        if link.hello is None:
            raise OutOfTurn("a chunk: HELLO comes first")
        return self.averaging.fetching.chunk(link.peer, link.number, frame, now)

    def _message(self, link: Link, message: Message, transfer: int, now: float) -> list[Effect]:
        """Each message to the machine that it concerns.  Raises PeerError."""
        if isinstance(message, messages.Close):
            return self.membership.closed_by_them(link, message.code, message.text, now)
        if (link.hello is None) != isinstance(message, Hello):
            raise OutOfTurn(f"{type(message).__name__}: HELLO comes first, and once")
        number, serving = link.number, self.averaging.serving
        match message:
            case messages.Hello():
                return self.membership.greeted(link, message, now)
            case messages.Ping(nonce=nonce):
                return [Send(number, messages.Pong(nonce=nonce))]
            case messages.Pong():
                self._links.ponged(link, message)
            case messages.Done():
                self.averaging.done(link.peer)
            case messages.Digest():
                return self.membership.directory.compare(number, message)
            case messages.Summary():
                return self.membership.directory.reconcile(number, message)
            case messages.Records(envelopes=envelopes):
                return self.membership.records_told(envelopes, number, now)
            case messages.Neighbor():
                return self.membership.neighbor_message(link, message, now)
            case messages.Disconnect(reason=reason):
                return self.membership.disconnected(link.peer, reason, now)
            case messages.Announce():
                return self._announced(link, message, now)
            case messages.Witness(manifest=manifest):
                return self._witnessed(manifest, now)
            case messages.Want():
                link.used_at = now
                return serving.serve(number, transfer, message)
            case messages.Cancel():
                return serving.cancel(number, transfer)
            case messages.Refuse():
                return self.averaging.fetching.refused(link.peer, transfer, message, number, now)
            case messages.AskSnapshot():
                return serving.snapshot_asked(number)
            case messages.Proof():
                return self.membership.proof_shown(link, message, now)
        return []

    def _announced(self, link: Link, announce: messages.Announce, now: float) -> list[Effect]:
        if link.peer not in self.membership.view.neighbors:
            return self.membership.stranger_announces(link)
        try:
            effects = self.averaging.announced(link, announce, now)
            link.may_lag = link.may_lag and not self.averaging.ledger.is_ready
            return effects
        except Equivocation as error:
            self._is_stirred = True
            return self.membership.proof_found(error.first, error.second, now)
        except Replay:
            if not link.may_lag:
                raise
            return []                                    # overtaken by what came over the other link

    def _witnessed(self, manifest: bytes, now: float) -> list[Effect]:
        try:
            self.averaging.ledger.compare(manifest)
        except Equivocation as error:
            self._is_stirred = True
            return self.membership.proof_found(error.first, error.second, now)
        return []

    def _broken(self, link: Link, error: PeerError, now: float) -> list[Effect]:
        """A rule was broken on `link`: close it, count it, go on."""
        self._is_stirred = True
        story = self._strike(link.peer, raised_by(error), now)
        self.averaging.unlinked(link.peer, link.number)
        return [story, *self.membership.hang_up(link, CloseCode.VIOLATION, raised_by(error), now)]

    def _strike(self, peer: PeerId, reason: str, now: float) -> Effect:
        banned = self._links.strike(peer, now)
        verdict = "broke the protocol and is banned" if banned else "broke the protocol"
        return Story("!", f"{peer.short} {verdict}: {reason}", loud=True)

    # -------------------------------------------------------------------------------- links, work and time

    def _link_down(self, event: LinkDown, now: float) -> list[Effect]:
        link = self._links.get(event.link)
        if link is None:
            return []
        self.averaging.unlinked(link.peer, event.link)
        told = [self._strike(link.peer, event.reason, now)] if event.broken else []
        return told + self.membership.link_down(event.link, event.reason, now)

    def _ready(self, event: Ready, now: float) -> list[Effect]:
        effects = self.averaging.ready(event, now)
        for link in self._links:
            try:
                effects += self.averaging.wake_early(link, now)
            except PeerError as error:
                effects += self._broken(link, error, now)
        return effects

    def _verified(self, event: Verified, now: float) -> list[Effect]:
        link = self._links.by_peer.get(event.peer)
        try:
            return self.averaging.verified(event, link, now)
        except PeerError as error:
            return self._broken(link, error, now) if link is not None else []

    def _mixed(self, event: Mixed, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for peer, reason in event.broken.items():
            effects += self._undecodable(peer, reason, now)
        if learned := self.membership.trust.learn(event.round, event.evidence):
            effects.append(KeepTrust(tuple(learned)))
        effects += self.averaging.mixed(event, self.membership.neighbor_links(), now)
        every = self._options.overlay.rewire_rounds
        if every and self.averaging.round.number % every == 0:
            self.membership.rewire()
            self._is_stirred = True
        return effects

    def _undecodable(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        self.averaging.fetching.unusable(peer)
        link = self._links.by_peer.get(peer)
        return self._broken(link, Undecodable(reason), now) if link is not None else []

    def _tick(self, now: float) -> list[Effect]:
        late_s = max(0.0, now - self._wake - _LATE_S)
        looks_after = now >= self._links.due
        effects = self.membership.tick(now, late_s)
        return effects + (self.averaging.tick(self.membership.neighbor_links(), now) if looks_after else [])

    def _stop(self) -> list[Effect]:
        self._stopped, self._wake = True, float("inf")
        closing = [CloseLink(link.number, CloseCode.LEAVING, "leaving") for link in self._links]
        return [*closing, Finished("stopped")]
