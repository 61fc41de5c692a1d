"""What flows over the edges: my updates out, my neighbors' in, and the round that mixes them.

Membership says who the neighbors are (`met`, `parted`); exchange moves verified payloads; round decides when to go on.
"""

from __future__ import annotations

from statistics import median, median_low

from gossipfl.codec import CODECS
from gossipfl.config import NodeConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.protocol.events import (
    Effect,
    Finished,
    Forget,
    Mixed,
    Ready,
    Send,
    SnapshotReady,
    Story,
    Trained,
    Verified,
)
from gossipfl.protocol.exchange import Exchange
from gossipfl.protocol.links import Link
from gossipfl.protocol.membership import Sequences
from gossipfl.protocol.round import Phase, Round
from gossipfl.wire.chunks import Payload
from gossipfl.wire.manifest import Manifest, Signed, next_state, sign_manifest
from gossipfl.wire.messages import Announce, Done


class Averaging:
    """Exchange and round of one peer."""

    def __init__(
        self, identity: Identity, federation: Federation, options: NodeConfig, sequences: Sequences,
        seen: dict[PeerId, int],
    ) -> None:  # fmt: skip
        self._identity, self._federation, self._options = identity, federation, options
        self._sequences = sequences
        self.exchange = Exchange(federation, options.limits, seen)
        self.round = Round(options.round)
        self._finished = False

    @property
    def due(self) -> float:
        return float("inf") if self._finished else self.round.due(self._fetch_s())

    # ------------------------------------------------------------------------------------------ neighbors

    def met(self, link: Link, now: float) -> list[Effect]:
        """`link` leads to a neighbor, new or linked again: tell it what I have and fetch what it has."""
        link.used_at = now
        self.exchange.add(link.peer)
        self.round.joined(link.peer)
        done: list[Effect] = [Send(link.number, Done(round=self.round.number))] if self._is_done else []
        return self.exchange.introduce(link.number) + done + self.exchange.fetch(link.peer, link.number, now)

    def parted(self, peer: PeerId) -> list[Effect]:
        self.exchange.remove(peer)
        self.round.left(peer)
        return [Forget(peer)]

    def unlinked(self, peer: PeerId, number: int) -> None:
        self.exchange.cut(peer, number)

    def done(self, peer: PeerId) -> None:
        """A neighbor has mixed its last round; it is not waited for any more."""
        if peer in self.round.paces:
            self.round.paces[peer].is_done = True

    # -------------------------------------------------------------------------------------------- updates

    def announced(self, link: Link, announce: Announce, now: float) -> list[Effect]:
        return self.exchange.announced(link.peer, link.number, announce, self._time(), now)

    def wake_early(self, link: Link, now: float) -> list[Effect]:
        """Hear what `link`'s peer announced before my learner was built."""
        return self.exchange.wake_early(link.peer, link.number, self._time(), now)

    def verified(self, event: Verified, link: Link | None, now: float) -> list[Effect]:
        """A chunk was hashed.  Raises PeerError if it is not what was announced."""
        update = self.exchange.verified(event.peer, event.root, event.chunk, event.ok, now)
        effects: list[Effect] = []
        if update is not None and event.peer in self.round.paces:
            self.round.paces[event.peer].arrived(update, self.round.number, now)
            kind, number = update.manifest.kind, update.manifest.round
            effects.append(Story("<", f"{event.peer.short} {kind} of round {number}, {len(update.data)} bytes"))
        return effects + (self.exchange.fetch(event.peer, link.number, now) if link is not None else [])

    def look_after(self, link: Link, now: float) -> list[Effect]:
        """Now and then: fetch what had no room, give up what never comes."""
        if link.peer not in self.exchange.inboxes or self.round.phase is Phase.STARTING:
            return []
        return self.exchange.look_after(link.peer, link.number, now)

    # ------------------------------------------------------------------------------------------ the round

    def ready(self, event: Ready, now: float) -> None:
        delta_bytes = CODECS[self._federation.codec].payload_bytes(event.size)
        self.exchange.ready(event.size, delta_bytes, event.state)
        self.round.ready(event.round, now)

    def trained(self, event: Trained, neighbors: list[Link], now: float) -> list[Effect]:
        """My new update: sign it, keep it for whoever asks, tell my neighbors."""
        state = next_state(self.exchange.state, event.payload.root)
        signed = self._sign("delta", self.exchange.state, state, event.payload, now, event.examples)
        self.round.trained(event.busy_s, now)
        size = event.payload.size
        story = Story(">", f"round {event.round}: update of {size} bytes announced to {len(neighbors)} neighbors")
        return [*self.exchange.publish(signed, event.payload, [link.number for link in neighbors]), story]

    def snapshot_ready(self, event: SnapshotReady, now: float) -> list[Effect]:
        signed = self._sign("snapshot", event.state, event.state, event.payload, now)
        return self.exchange.snapshot_taken(signed, event.payload)

    def mixed(self, event: Mixed, neighbors: list[Link], now: float) -> list[Effect]:
        """A round is over: the next one, or the end."""
        effects: list[Effect] = list(self.round.mixed(event.busy_s, now))
        for link in neighbors:
            effects += self.look_after(link, now)
        if self._is_done:
            effects += self._tell_done(neighbors)
        return effects

    def onward(self, neighbors: list[Link], now: float) -> list[Effect]:
        """The round goes on as soon as nothing holds it."""
        if self.round.phase is Phase.WAITING:
            if self.round.is_over:
                self.round.finish(now)
                return self._tell_done(neighbors)
            return [*self.round.begin(len(neighbors), self._is_newcomer(), now)]
        if self.round.phase is Phase.COLLECTING:
            return self._collect(now)
        if self._is_done and not self._finished and self._is_served(now):
            self._finished = True
            return [Finished(f"{self.round.number} rounds done")]
        return []

    def _collect(self, now: float) -> list[Effect]:
        if self.round.awaited(self.exchange.is_owed, self._fetch_s(), now):
            return []
        late = [
            peer for peer, pace in self.round.paces.items()
            if not pace.is_done and pace.refreshed < self.round.number and not self.exchange.inboxes[peer].pending
        ]  # fmt: skip
        return [self.round.mix(self.exchange.take, late, self._options.limits.links_max, now)]

    def _tell_done(self, neighbors: list[Link]) -> list[Effect]:
        done = Done(round=self.round.number)
        story = Story("=", f"all {self.round.number} rounds done; serving neighbors until they are")
        return [story, *(Send(link.number, done) for link in neighbors)]

    def _is_served(self, now: float) -> bool:
        waiting = [peer for peer, pace in self.round.paces.items() if not pace.is_done]
        return not waiting or now >= self.round.done_at + self._options.round.linger_s

    # ----------------------------------------------------------------------------------- small questions

    @property
    def _is_done(self) -> bool:
        return self.round.phase is Phase.DONE

    def _is_newcomer(self) -> bool:
        """Are my neighbors in another time than I?"""
        claims = [self.exchange.newest_round(peer) for peer in self.round.paces]
        theirs = [claim + 1 for claim in claims if claim is not None]
        ahead = median_low([self.round.number, *theirs]) - self.round.number
        return ahead > self._options.round.staleness_rounds_max

    def _time(self) -> int | None:
        """My round, or None while it says nothing: a newcomer does not know what time it is."""
        settled = self.round.number > self.round.first and not self.round.catching_up
        return self.round.number if settled else None

    def _fetch_s(self) -> float:
        times = [inbox.fetch_s for inbox in self.exchange.inboxes.values() if inbox.fetch_s]
        return median(times) if times else 0.0

    def _sign(
        self, kind: str, base: bytes, state: bytes, payload: Payload, now: float, examples: int = 0
    ) -> Signed[Manifest]:
        manifest = Manifest(
            federation=self._federation.fingerprint, kind=kind, round=self.round.number,
            sequence=self._sequences.next(), base=base, state=state,
            codec=self._federation.codec if kind == "delta" else "float32",
            size=payload.size, root=payload.root, spec=self.exchange.vectors.spec, examples=examples,
            degree=len(self.round.paces), created_ms=int(now * 1000),
        )  # fmt: skip
        return sign_manifest(self._identity, manifest)


def raised_by(error: PeerError) -> str:
    """The error in one short line, for the log and for the other side."""
    return f"{type(error).__name__}: {error}"[:200]
