"""Who is there and who is mine: links, dialer, directory and view, kept in step.

Membership decides with whom this peer averages and tells the rest through two callbacks: `met` when an edge is agreed
or its link replaced, `parted` when it ends.  What flows over an edge is averaging.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many

from gossipfl.errors import PeerError
from gossipfl.identity import PeerId
from gossipfl.protocol.dialer import Dialer
from gossipfl.protocol.directory import Directory
from gossipfl.protocol.events import CloseLink, Effect, Found, KeepProof, KeepRecord, LinkUp, Send, Story
from gossipfl.protocol.links import Link, Links
from gossipfl.protocol.outreach import Outreach
from gossipfl.protocol.proofs import Held, NoProof, Proofs, contradiction, remembered
from gossipfl.protocol.setup import Sequences, Setup
from gossipfl.protocol.trust import Trust
from gossipfl.protocol.view import View
from gossipfl.wire import messages
from gossipfl.wire.messages import CloseCode, Hello

_REFUSALS = (CloseCode.OTHER_MODEL, CloseCode.OTHER_VERSION, CloseCode.BANNED, CloseCode.IDENTITY_IN_USE)
_FOR_GOOD = (CloseCode.VIOLATION, CloseCode.BANNED)      # after these I do not call again soon
_JITTER = 0.5                        # a periodic task comes after 0.75 to 1.25 of its interval


class NotOwnRecord(PeerError):
    """A HELLO that carries the record of somebody else."""


class Membership:
    """Links, addresses, records and neighbors of one peer."""

    def __init__(
        self,
        setup: Setup,
        sequences: Sequences,
        met: Callable[[Link, float], list[Effect]],
        parted: Callable[[PeerId, float], list[Effect]],
        now: float,
    ) -> None:
        identity, options = setup.identity, setup.options
        self.me = identity.peer_id
        self._federation, self._options, self._dice = setup.federation, options, setup.dice
        self._boot, self._addresses, self._sequences = setup.boot, setup.addresses, sequences
        self._met, self._parted = met, parted
        self.links = Links(self.me, setup.federation, setup.boot, options.limits, options.liveness)
        self.dialer = Dialer(self.me, options.limits, setup.dice)
        self.directory = Directory(identity, setup.federation, setup.boot, options.limits, setup.dice)
        self.proofs = Proofs()
        self.trust = Trust(setup.trust, self.proofs.liars)
        self.view = View(options.overlay, setup.dice, self.trust)
        self._gossip_due = now + self._jittered(options.liveness.gossip_s)
        self._heal_due = now + self._jittered(options.liveness.heal_s)
        self.outreach = Outreach(
            options, setup.dice, self.links, self.dialer, self.directory, self.view, self.proofs.liars
        )
        for liar, proof in remembered(setup.proofs, setup.federation).items():
            self.proofs.keep(liar, Held(proof, None, is_hearsay=not self.trust.knows(liar)))
            self.links.ban(liar)
        for envelope in setup.records:
            self._remember(envelope, now)
        self.directory.write_own(sequences.next(), self._addresses, (), 0)

    @property
    def due(self) -> float:
        """When `tick` or `onward` may have something to do without any event."""
        return min(
            self.links.due, self.directory.due, self.view.due(), self.outreach.due, self.proofs.due, self._gossip_due,
            self._heal_due,
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------------- links

    def link_up(self, event: LinkUp, now: float) -> list[Effect]:
        hello = Hello(
            versions=(messages.VERSION, messages.VERSION), federation=self._federation.fingerprint,
            terms=self._federation.terms, summary=self._federation.summary[:256], boot=self._boot,
            record=self.directory.records[self.me].envelope,
        )  # fmt: skip
        return self.links.up(event, hello, now)

    def greeted(self, link: Link, hello: Hello, now: float) -> list[Effect]:
        """The HELLO of a link: refuse it, or let it be the one link to its peer.  Raises PeerError for a bad record."""
        if link.peer == self.me and link.dialed:
            self.dialer.is_me(link.address)
        if refused := self.links.refuse(link, hello, now):
            self.dialer.lost(link.peer, now, refused=True)
            return refused
        if hello.record[:32] != link.peer:
            raise NotOwnRecord("HELLO carries the record of another peer")
        forgotten = self.directory.is_here(link.peer)
        told = self.records_told((hello.record,), link.number, now)
        is_new_peer = link.peer not in self.links.by_peer
        survives, effects = self.links.greeted(link, hello, now)
        if survives and forgotten is not None:           # what it signed last, in case that it has forgotten, too
            told.append(Send(link.number, messages.Records(envelopes=(forgotten,))))
        return effects + told + (self._linked(link, is_new_peer, now) if survives else [])

    def _linked(self, link: Link, is_new_peer: bool, now: float) -> list[Effect]:
        """`link` is now the one to its peer."""
        self.dialer.connected(link.peer, link.address if link.dialed else None)
        self.proofs.linked(link.peer, now)
        effects: list[Effect] = [Send(link.number, self.directory.digest())] if link.dialed else []
        if not is_new_peer:
            return effects + self._moved(link, now)
        how = "dialed" if link.dialed else "accepted"
        effects.append(Story("=", f"{link.peer.short} linked, {how} {link.address}"))
        return effects + (self._meet(link, now) if self.view.linked(link.peer) else [])

    def _moved(self, link: Link, now: float) -> list[Effect]:
        """`link` replaces another to the same peer: what the other carried may be lost, so say it again."""
        self.view.unask(link.peer)
        return self._met(link, now) if link.peer in self.view.neighbors else []

    def link_down(self, number: int, reason: str, now: float) -> list[Effect]:
        """A connection ended.  One that never became its peer's link was a failed call, if I made it."""
        link = self.links.get(number)
        if link is None:
            return []
        if self.links.down(number) is None:
            self.dialer.failed(link.address, now)
            return []
        return self._unlinked(link, reason, now)

    def hang_up(self, link: Link, code: CloseCode, text: str, now: float) -> list[Effect]:
        """Close a link for good: whatever still arrives on it is ignored, and its end is noted now."""
        close = CloseLink(link.number, code, text)
        is_final = code in _FOR_GOOD
        if self.links.down(link.number) is None:
            self.dialer.failed(link.address, now)
            self.dialer.lost(link.peer, now, refused=is_final)
            return [close]
        heir = self.links.by_peer.get(link.peer)
        if heir is not None and is_final:
            return [close, *self.hang_up(heir, code, text, now)]
        return [close, *self._unlinked(link, text, now, refused=is_final)]

    def _unlinked(self, link: Link, reason: str, now: float, *, refused: bool = False) -> list[Effect]:
        """The link to a peer is gone; if its caller has a spare one, that goes on."""
        heir = self.links.by_peer.get(link.peer)
        if heir is not None:
            return self._moved(heir, now)
        self.proofs.unlinked(link.peer)
        self._know_addresses(link.peer, now)
        self.dialer.lost(link.peer, now, refused=refused)
        return [Story("x", f"{link.peer.short} unlinked: {reason}"), *self.part(link.peer, reason, now)]

    def closed_by_them(self, link: Link, code: int, text: str, now: float) -> list[Effect]:
        """Their CLOSE says why.  A refusal is told once and answered with the longest pause."""
        if code not in list(map(int, _REFUSALS)):
            return []
        self.dialer.lost(link.peer, now, refused=True)
        reason = CloseCode(code).name.lower().replace("_", " ")
        return self.links.tell_once(link.peer, f"refused this peer ({reason}): {text}", now)

    # ---------------------------------------------------------------------------------------- the directory

    def records_told(self, envelopes: Many[bytes], number: int | None, now: float) -> list[Effect]:
        """Peer records from a link, or from last time.  Raises PeerError for one that does not verify."""
        effects: list[Effect] = []
        for envelope in envelopes:
            if envelope[:32] == self.me:
                self._hear_of_myself(envelope, now)
                continue
            effects += self.directory.offer(envelope, number, now, self.links.by_peer)
        for effect in effects:
            if isinstance(effect, KeepRecord):
                self._know_addresses(effect.record.signer, now)
        return effects

    def _hear_of_myself(self, envelope: bytes, now: float) -> None:
        """A record of mine that I do not remember writing means that I was restored from a backup: jump above it."""
        ahead = self.directory.own_sequence_elsewhere(envelope)
        if ahead is not None:
            self._sequences.jump_above(ahead)
            self.directory.own_changed(now)

    def _know_addresses(self, peer: PeerId, now: float) -> None:
        signed = self.directory.records.get(peer)
        for host in signed.document.addresses if signed is not None else ():
            self.dialer.found(Found(host, peer), now)

    def _remember(self, envelope: bytes, now: float) -> None:
        """A record from last time was verified before it was kept, and is again: a disk is a stranger too."""
        try:
            self.records_told((envelope,), None, now)
        except PeerError:
            return

    # ------------------------------------------------------------------------------------------ neighbors

    def neighbor_message(self, link: Link, message: messages.Neighbor, now: float) -> list[Effect]:
        peer = link.peer
        if message.kind == "ask":
            was_neighbor = peer in self.view.neighbors
            if self._has_neighbors(peer):
                message = messages.Neighbor(kind="ask")
            answer = self.view.answer(peer, message, self.outreach.there())
            effects: list[Effect] = [Send(link.number, answer)]
            if answer.kind == "agree":                   # asked again, it did not hear what I said when we met
                effects += self._met(link, now) if was_neighbor else self._meet(link, now)
            return effects
        if self.view.answered(peer, message, now):
            return self._meet(link, now)
        if message.kind == "agree" and peer not in self.view.neighbors:
            return [Send(link.number, messages.Disconnect(reason="asked too long ago"))]
        return []

    def _has_neighbors(self, peer: PeerId) -> bool:
        """Does `peer` name a neighbor that names it too?  Whatever it says of itself: then it does not stand alone."""
        records = self.directory.records
        named = records[peer].document.neighbors if peer in records else ()
        return any(
            other in records and bytes(peer) in records[other].document.neighbors        # type: ignore[index]
            for other in named if other != self.me
        )  # fmt: skip

    def stranger_announces(self, link: Link) -> list[Effect]:
        """An update from a peer that is no neighbor of mine: it thinks that it is, unless its answer is on the way."""
        if self.view.is_asked(link.peer):
            return []
        return [Send(link.number, messages.Disconnect(reason="no neighbor of mine"))]

    def disconnected(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        """`peer` lets me go."""
        if peer not in self.view.neighbors:
            return []
        self.view.rest(peer, now)
        told = self.links.tell_once(peer, "does not name me as its neighbor", now) if self.view.named else []
        return [*told, *self.part(peer, f"parted: {reason}", now)]

    def part(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        """`peer` is no neighbor any more, if it was one."""
        if not self.view.drop(peer):
            return []
        self.directory.own_changed(now)
        story = Story("=", f"{peer.short} is no neighbor any more ({reason}), {len(self.view.neighbors)} left")
        return [*self._parted(peer, now), story]

    def rewire(self) -> None:
        """Draw one neighbor anew."""
        self.view.exchange(self.outreach.present())

    def _meet(self, link: Link, now: float) -> list[Effect]:
        self.directory.own_changed(now)
        story = Story("=", f"{link.peer.short} is a neighbor, {len(self.view.neighbors)} in all")
        return [story, *self._met(link, now), *self._let_one_go(link.peer, now)]

    def _let_one_go(self, newest: PeerId, now: float) -> list[Effect]:
        surplus = self.view.surplus(self.outreach.present(), newest)
        link = self.links.by_peer.get(surplus) if surplus is not None else None
        if surplus is None or link is None:
            return []
        self.view.let_go(surplus, now)
        return [Send(link.number, messages.Disconnect(reason="exchanged")), *self.part(surplus, "exchanged", now)]

    # ------------------------------------------------------------------------------------------------ liars

    def proof_shown(self, link: Link, proof: messages.Proof, now: float) -> list[Effect]:
        """Two faces of one peer, from `link`.  Raises PeerError if they are none.

        Whom I do not know is a key that may have been made for this: its signatures are not even looked at.
        """
        signer = proof.first[:32]
        if signer != proof.second[:32]:
            raise NoProof("manifests of two signers")
        is_hearsay = signer != self.me and not self._has_averaged_with(signer)
        has_heard_of = signer in self.directory.records or signer in self.links.by_peer
        if is_hearsay and not (has_heard_of and self.proofs.has_room(link.peer)):
            return []
        return self._proven(Held(proof, link.peer, is_hearsay), now)

    def proof_found(self, first: bytes, second: bytes, now: float) -> list[Effect]:
        """Two faces of a peer that I have averaged with, noticed by myself."""
        return self._proven(Held(messages.Proof(first=first, second=second), None, is_hearsay=False), now)

    def _proven(self, held: Held, now: float) -> list[Effect]:
        first, second = held.message.first, held.message.second
        if first[:32] in self.proofs.liars:              # once is enough
            return []
        liar = contradiction(held.message, self._federation)
        if liar == self.me:
            return self.links.tell_once(liar, "is me, and signed two updates with one sequence: a copied key?", now)
        self.proofs.keep(liar, held)
        effects = self.links.tell_once(liar, "signed two different updates with one sequence: banned for good", now)
        effects.append(KeepProof(first, second))
        link = self.links.by_peer.get(liar)
        if link is None:
            self.links.ban(liar)
            return effects
        self.links.strike(liar, now, final=True)
        return effects + self.hang_up(link, CloseCode.BANNED, "equivocation", now)

    def _has_averaged_with(self, peer: bytes) -> bool:
        return peer in self.view.neighbors or self.trust.knows(peer)

    # ------------------------------------------------------------------------------------------------- time

    def tick(self, now: float, late_s: float) -> list[Effect]:
        effects: list[Effect] = []
        if now >= self.links.due:
            for link in self.links.silent(now, late_s):
                effects += self.hang_up(link, CloseCode.SILENT, f"silent for {now - link.heard_at:.0f} s", now)
            for link in self.outreach.idle(now):
                effects += self.hang_up(link, CloseCode.IDLE, "idle", now)
            effects += self.links.look_after(now)
        if now >= self._gossip_due:
            self._gossip_due = now + self._jittered(self._options.liveness.gossip_s)
            chosen = self._dice.sample(list(self.links), min(1, len(self.links.by_peer)))
            effects += self.directory.age(self.outreach.linked(), now, 2 * self._options.liveness.gossip_s)
            for link in chosen:
                effects.append(Send(link.number, self.directory.digest()))
                self.proofs.tell_all(link.peer, now)
        if now >= self._heal_due:
            self._heal_due = now + self._jittered(self._options.liveness.heal_s)
            self.outreach.heal()
        return effects

    def onward(self, round_: int, now: float) -> list[Effect]:
        """What follows from the state alone, after any event: calls, my own record, news, asks, proofs."""
        present = self.outreach.present()
        effects = self.outreach.call(present, now)
        if self.directory.own_is_due(now):
            effects.append(
                self.directory.write_own(self._sequences.next(), self._addresses, self.view.neighbors, round_)
            )
        effects += self.directory.spread([link.number for link in self.links], now)
        urgent = not self.view.neighbors
        # That I have nobody is believed only when my record no longer names whom I lost.
        linked = set[PeerId]() if urgent and self.directory.own_pends else self.outreach.linked()
        for peer in self.view.asks(linked, present, now):
            effects.append(Send(self.links.by_peer[peer].number, messages.Neighbor(kind="ask", urgent=urgent)))
        return effects + self.proofs.tell(self.links.by_peer, now)

    def neighbor_links(self) -> list[Link]:
        return [self.links.by_peer[peer] for peer in self.view.neighbors if peer in self.links.by_peer]

    def _jittered(self, interval_s: float) -> float:
        return interval_s * (1 - _JITTER / 2 + _JITTER * self._dice.random())
