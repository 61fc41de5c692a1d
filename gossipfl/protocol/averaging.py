"""What flows over the edges: my updates out, my neighbors' in, and the round that mixes them.

Membership says who the neighbors are (`met`, `parted`); serving and fetching move verified payloads; round decides when
to go on.
"""

from __future__ import annotations

from collections.abc import Callable

from gossipfl.codec import CODECS
from gossipfl.errors import PeerError
from gossipfl.identity import PeerId
from gossipfl.protocol.events import (
    Effect,
    Finished,
    Mixed,
    Ready,
    Send,
    SnapshotReady,
    Story,
    Trained,
    Verified,
)
from gossipfl.protocol.fetching import Fetching
from gossipfl.protocol.ledger import Ledger
from gossipfl.protocol.links import Link
from gossipfl.protocol.round import Phase, Round
from gossipfl.protocol.serving import Serving
from gossipfl.protocol.setup import Sequences, Setup
from gossipfl.wire.chunks import Payload
from gossipfl.wire.manifest import Manifest, Signed, genesis_state, next_state, sign_manifest
from gossipfl.wire.messages import Announce, Done, Witness


class Averaging:
    """What one peer gives to its neighbors and takes from them."""

    def __init__(self, setup: Setup, sequences: Sequences) -> None:
        self._identity, self._federation, self._options = setup.identity, setup.federation, setup.options
        self._sequences, self._dice = sequences, setup.dice
        genesis = genesis_state(setup.federation.terms)
        self.ledger = Ledger(setup.federation, setup.options.limits, dict(setup.sequences))
        self.serving = Serving(setup.options.limits, genesis)
        self.fetching = Fetching(self.ledger, setup.options.limits, genesis)
        self.round = Round(setup.options.round, setup.options.aggregation.byzantine_max)
        self._published_round = 0                        # of the state that my public model has for others
        self._finished = False
        self._collects_until = 0.0                       # while the round collects

    @property
    def due(self) -> float:
        """When `onward` has something to do without any event."""
        if self._finished:
            return float("inf")
        return self._collects_until if self.round.phase is Phase.COLLECTING else self.round.due()

    # ------------------------------------------------------------------------------------------ neighbors

    def met(self, link: Link, now: float) -> list[Effect]:
        """`link` leads to a neighbor, new or linked again: tell it what I have and fetch what it has."""
        link.used_at = now
        self.fetching.add(link.peer)
        self.round.joined(link.peer, self.fetching.inboxes[link.peer].pending, now)
        done: list[Effect] = [Send(link.number, Done(round=self.round.number))] if self._is_done else []
        return self.serving.introduce(link.number) + done + self.fetching.fetch(link.peer, link.number, now)

    def parted(self, peer: PeerId, now: float) -> list[Effect]:
        self.round.left(peer)
        return self.fetching.remove(peer, now)

    def unlinked(self, peer: PeerId, number: int) -> None:
        self.serving.cut(number)
        self.fetching.cut(peer, number)

    def done(self, peer: PeerId) -> None:
        """A neighbor has mixed its last round; it is not waited for any more."""
        if peer in self.round.paces:
            self.round.paces[peer].is_done = True

    # -------------------------------------------------------------------------------------------- updates

    def announced(self, link: Link, announce: Announce, now: float) -> list[Effect]:
        return self.fetching.announced(link.peer, link.number, announce, now)

    def wake_early(self, link: Link, now: float) -> list[Effect]:
        """Hear what `link`'s peer announced before my learner was built."""
        return self.fetching.wake_early(link.peer, link.number, now)

    def verified(self, event: Verified, link: Link | None, now: float) -> list[Effect]:
        """A chunk was hashed.  Raises PeerError if it is not what was announced."""
        update = self.fetching.verified(event.peer, event.root, event.chunk, event.ok, now)
        effects: list[Effect] = []
        if update is not None:
            self.round.arrived(event.peer, update, now)
            kind, number = update.manifest.kind, update.manifest.round
            effects.append(Story("<", f"{event.peer.short} {kind} of round {number}, {len(update.data)} bytes"))
        return effects + (self.fetching.fetch(event.peer, link.number, now) if link is not None else [])

    def tick(self, neighbors: list[Link], now: float) -> list[Effect]:
        """Now and then: fetch what had no room, give up what never comes, forget who is gone."""
        return [*self.fetching.expire(now), *self._look_after(neighbors, now)]

    def _look_after(self, neighbors: list[Link], now: float) -> list[Effect]:
        if self.round.phase is Phase.STARTING:
            return []
        # Where memory is short it goes to whom I have heard from longest ago, or some would never be heard.
        in_turn = sorted(neighbors, key=lambda link: self.round.paces[link.peer].arrived_at or 0.0)
        return [effect for ln in in_turn for effect in self.fetching.look_after(ln.peer, ln.number, now)]

    # ------------------------------------------------------------------------------------------ the round

    def ready(self, event: Ready, now: float) -> list[Effect]:
        self.ledger.ready(event.size, CODECS[self._federation.codec].payload_bytes(event.size))
        self.round.ready(event.round, now)
        self._published_round = max(event.round - 1, 0)
        wait_s, neighbors = self._options.round.start_wait_s, self.round.start_neighbors
        wait = Story("=", f"waits for {neighbors} neighbor{'s' * (neighbors != 1)}, at most {wait_s:g} s")
        return [wait, *self.serving.ready(event.state)]

    def trained(self, event: Trained, neighbors: list[Link], now: float) -> list[Effect]:
        """My new update: sign it, keep it for whoever asks, tell my neighbors."""
        state = next_state(self.serving.state, event.payload.root)
        self._published_round = self.round.number
        signed = self._sign("delta", self.serving.state, state, event.payload, now, event.examples)
        self.round.trained(event.busy_s, now)
        size = event.payload.size
        story = Story(">", f"round {event.round}: update of {size} bytes announced to {len(neighbors)} neighbors")
        return [*self.serving.publish(signed, event.payload, [link.number for link in neighbors]), story]

    def snapshot_ready(self, event: SnapshotReady, now: float) -> list[Effect]:
        """My public model as it was published, or as it is about to be: my training changes it before it ends."""
        is_published = event.state == self.serving.state
        signed = self._sign("snapshot", event.state, event.state, event.payload, now, is_published=is_published)
        return self.serving.snapshot_taken(signed, event.payload)

    def mixed(self, event: Mixed, neighbors: list[Link], now: float) -> list[Effect]:
        """A round is over: the next one, or the end."""
        effects = [*self._testify(neighbors), *self.round.mixed(now)]
        effects += self._look_after(neighbors, now)
        if self._is_done:
            effects += self._tell_done(neighbors)
        return effects

    def _testify(self, neighbors: list[Link]) -> list[Effect]:
        """Tell one neighbor what another announced to me, both drawn at random.

        A liar that shows each of us another update of one sequence is safe only as long as we never compare.
        """
        if len(neighbors) < 2:
            return []
        to, about = self._dice.sample(neighbors, 2)
        manifest = self.ledger.newest(about.peer)
        return [Send(to.number, Witness(manifest=manifest))] if manifest is not None else []

    def onward(
        self, neighbors: Callable[[], list[Link]], thrown_out: Callable[[], int], now: float
    ) -> list[Effect]:  # fmt: skip
        """The round goes on as soon as nothing holds it.  `thrown_out`: how many peers were, for breaking rules."""
        if self.round.phase is Phase.WAITING:
            return self._begin(neighbors(), thrown_out(), now)
        if self.round.phase is Phase.COLLECTING:
            return self._collect(now)
        if self.round.phase is Phase.RESTING:
            return [*self.round.rested(now)]
        if self._is_done and not self._finished and self._is_served(now):
            self._finished = True
            return [Finished(f"{self.round.number} rounds done")]
        return []

    def _begin(self, neighbors: list[Link], thrown_out: int, now: float) -> list[Effect]:
        """The first round, if it is time for it; a newcomer collects before it trains.

        Whoever was thrown out has been here: to wait for it would leave the beginning to the liars.
        """
        if self.round.is_over:
            self.round.finish(now)
            return self._tell_done(neighbors)
        been_here = len(neighbors) + thrown_out
        begun = self.round.begin(been_here, self._is_newcomer(), now)
        if self.round.catching_up:
            return self._collect(now)
        lonely = bool(begun) and been_here < self.round.start_neighbors
        few = Story("!", f"begins with {len(neighbors)} neighbors, fewer than it waited for", loud=True)
        return [few, *begun] if lonely else [*begun]

    def _collect(self, now: float) -> list[Effect]:
        self._collects_until = self.round.waits_until(self.fetching.hope, self.fetching.fetch_s)
        if now < self._collects_until:
            return []
        late = [
            peer for peer, pace in self.round.paces.items()
            if not pace.is_done and pace.refreshed < self.round.number and not self.fetching.inboxes[peer].pending
        ]  # fmt: skip
        return [self.round.mix(self.fetching.take, late, self._options.limits.links_max, now)]

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
        """Are my neighbors in another time than I?  Their manifests say so before their models are here."""
        claims = {peer: self.ledger.newest_round(peer) for peer in self.round.paces}
        return self.round.is_elsewhere([claim for claim in claims.values() if claim is not None])

    def _sign(
        self, kind: str, base: bytes, state: bytes, payload: Payload, now: float, examples: int = 0,
        is_published: bool = True,
    ) -> Signed[Manifest]:  # fmt: skip
        manifest = Manifest(
            federation=self._federation.fingerprint, kind=kind,
            round=self._published_round if is_published else self.round.number,
            sequence=self._sequences.next(), base=base, state=state,
            codec=self._federation.codec if kind == "delta" else "float32",
            size=payload.size, root=payload.root, spec=self.ledger.vectors.spec, examples=examples,
            degree=len(self.round.paces), created_ms=int(now * 1000),
        )  # fmt: skip
        return sign_manifest(self._identity, manifest)


def raised_by(error: PeerError) -> str:
    """The error in one short line, for the log and for the other side."""
    return f"{type(error).__name__}: {error}"[:200]
