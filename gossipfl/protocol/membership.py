"""Who is there and who is mine: links, dialer, directory and view, kept in step.

Membership decides with whom this peer averages and tells the rest through two callbacks: `met` when an edge is agreed,
`parted` when it ends.  What flows over an edge is averaging.py's business.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass

from gossipfl.config import NodeConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.protocol.dialer import Dialer
from gossipfl.protocol.directory import Directory
from gossipfl.protocol.events import CloseLink, Dice, Effect, Found, LinkUp, Send, Story
from gossipfl.protocol.links import Link, Links
from gossipfl.protocol.view import View
from gossipfl.wire import messages
from gossipfl.wire.manifest import open_manifest
from gossipfl.wire.messages import CloseCode, Hello

_REFUSALS = (CloseCode.OTHER_MODEL, CloseCode.OTHER_VERSION, CloseCode.BANNED, CloseCode.IDENTITY_IN_USE)
_JITTER = 0.5                        # a periodic task comes after 0.75 to 1.25 of its interval


class NoProof(PeerError):
    """Two manifests that do not show a lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a peer is born with."""

    identity: Identity
    federation: Federation
    options: NodeConfig
    dice: Dice
    boot: bytes                      # 16 random bytes of this start
    boots: int                       # starts so far: the high half of every sequence, so none is ever used twice
    addresses: tuple[str, ...] = ()  # told to others
    records: tuple[bytes, ...] = ()  # peer records remembered from last time
    sequences: tuple[tuple[PeerId, int], ...] = ()       # newest manifest seen of each signer


class Sequences:
    """Numbers for what I sign, strictly rising over restarts and power cuts: boots << 32, then counted up."""

    def __init__(self, boots: int) -> None:
        self._last = boots << 32

    def next(self) -> int:
        self._last += 1
        return self._last

    def jump_above(self, seen: int) -> None:
        self._last = max(self._last, seen)


class Membership:
    """Links, addresses, records and neighbors of one peer."""

    def __init__(
        self,
        setup: Setup,
        sequences: Sequences,
        met: Callable[[Link, float], list[Effect]],
        parted: Callable[[PeerId], list[Effect]],
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
        self.view = View(options.overlay, setup.dice)
        self._gossip_due = now + self._jittered(options.liveness.gossip_s)
        self._heal_due = now + self._jittered(options.liveness.heal_s)
        self._calls: list[PeerId | str] = []
        self._healing: PeerId | None = None
        for envelope in setup.records:
            self._remember(envelope, now)
        self.directory.write_own(sequences.next(), self._addresses, (), 0)

    @property
    def due(self) -> float:
        """When `tick` or `onward` may have something to do without any event."""
        return min(
            self.links.due, self.directory.due, self.view.due(), self.dialer.due(self._calls),
            self._gossip_due, self._heal_due,
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
        """The HELLO of a link: refuse it, or let it be the one link to its peer."""
        is_new_peer = link.peer not in self.links.by_peer
        survives, effects = self.links.greeted(link, hello, now)
        if link.peer == self.me and link.dialed:
            self.dialer.is_me(link.address)
        if not survives:
            if is_new_peer:
                self.dialer.lost(link.peer, now, refused=True)
            return effects
        self.dialer.connected(link.peer, link.address if link.dialed else None)
        effects += self.records_told((hello.record,), link.number, now)
        if link.dialed:
            effects.append(Send(link.number, self.directory.digest()))
        if is_new_peer:
            how = "dialed" if link.dialed else "accepted"
            effects.append(Story("=", f"{link.peer.short} linked, {how} {link.address}"))
            return effects + (self._meet(link, now) if self.view.linked(link.peer) else [])
        return effects + (self._met(link, now) if link.peer in self.view.neighbors else [])

    def link_down(self, number: int, reason: str, now: float) -> list[Effect]:
        """A connection ended.  One that never became its peer's link was a failed call, if I made it."""
        link = self.links.get(number)
        if link is None:
            return []
        if self.links.down(number) is None:
            self.dialer.failed(link.address, now)
            return []
        self.dialer.lost(link.peer, now)
        return [Story("x", f"{link.peer.short} unlinked: {reason}"), *self.part(link.peer, "unlinked", now)]

    def hang_up(self, link: Link, code: CloseCode, text: str, now: float) -> list[Effect]:
        """Close a link for good: whatever still arrives on it is ignored, and its end is noted now."""
        was_established = self.links.down(link.number) is not None
        self.dialer.lost(link.peer, now, refused=code != CloseCode.IDLE)
        close = CloseLink(link.number, code, text)
        return [close, *(self.part(link.peer, text, now) if was_established else [])]

    def closed_by_them(self, link: Link, code: int, text: str, now: float) -> list[Effect]:
        """Their CLOSE says why.  A refusal is told once and answered with the longest pause."""
        if code not in list(map(int, _REFUSALS)):
            return []
        self.dialer.lost(link.peer, now, refused=True)
        reason = CloseCode(code).name.lower().replace("_", " ")
        return self.links.tell_once(link.peer, f"refused this peer ({reason}): {text}")

    # ---------------------------------------------------------------------------------------- the directory

    def records_told(self, envelopes: Many[bytes], number: int | None, now: float) -> list[Effect]:
        """Peer records from a link, or from last time.  Raises PeerError for one that does not verify."""
        effects: list[Effect] = []
        for envelope in envelopes:
            if envelope[:32] == self.me:
                self._hear_of_myself(envelope, now)
                continue
            taken = self.directory.offer(envelope, number, now)
            effects += taken
            if taken:
                self._know_addresses(PeerId(envelope[:32]), now)
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
            answer = self.view.answer(peer, message, self.present())
            agreed = answer.kind == "agree" and not was_neighbor
            return [Send(link.number, answer), *(self._meet(link, now) if agreed else [])]
        if self.view.answered(peer, message, now):
            return self._meet(link, now)
        if message.kind == "agree" and peer not in self.view.neighbors:
            return [Send(link.number, messages.Disconnect(reason="asked too long ago"))]
        return []

    def part(self, peer: PeerId, reason: str, now: float) -> list[Effect]:
        """`peer` is no neighbor any more, if it was one."""
        if not self.view.drop(peer):
            return []
        self.directory.own_changed(now)
        story = Story("=", f"{peer.short} is no neighbor any more ({reason}), {len(self.view.neighbors)} left")
        return [*self._parted(peer), story]

    def rewire(self) -> None:
        """Draw one neighbor anew."""
        self.view.exchange(self.present())

    def _meet(self, link: Link, now: float) -> list[Effect]:
        self.directory.own_changed(now)
        story = Story("=", f"{link.peer.short} is a neighbor, {len(self.view.neighbors)} in all")
        return [story, *self._met(link, now), *self._let_one_go(link.peer, now)]

    def _let_one_go(self, newest: PeerId, now: float) -> list[Effect]:
        surplus = self.view.surplus(self.present(), newest)
        link = self.links.by_peer.get(surplus) if surplus is not None else None
        if surplus is None or link is None:
            return []
        return [Send(link.number, messages.Disconnect(reason="exchanged")), *self.part(surplus, "exchanged", now)]

    # ------------------------------------------------------------------------------------------------ liars

    def proof(self, first: bytes, second: bytes, now: float) -> list[Effect]:
        """Two faces of one peer: believed because the signatures say so, not because of who shows them."""
        one, other = open_manifest(first), open_manifest(second)
        same = one.signer == other.signer and one.document.sequence == other.document.sequence
        if not same or one.document.root == other.document.root:
            raise NoProof("two manifests that do not contradict each other")
        liar = one.signer
        if self.links.is_banned(liar, now):
            return []
        self.links.strike(liar, now, final=True)
        effects = self.links.tell_once(liar, "signed two different updates with one sequence: banned")
        effects += [Send(link.number, messages.Proof(first=first, second=second)) for link in self.links]
        link = self.links.by_peer.get(liar)
        return effects + (self.hang_up(link, CloseCode.BANNED, "equivocation", now) if link is not None else [])

    # ------------------------------------------------------------------------------------------------- time

    def tick(self, now: float, late_s: float) -> list[Effect]:
        effects: list[Effect] = []
        if now >= self.links.due:
            effects += self.links.tick(now, late_s) + self._close_idle(now)
        if now >= self._gossip_due:
            self._gossip_due = now + self._jittered(self._options.liveness.gossip_s)
            chosen = self._dice.sample(list(self.links), min(1, len(self.links.by_peer)))
            effects += [Send(link.number, self.directory.digest()) for link in chosen]
        if now >= self._heal_due:
            self._heal_due = now + self._jittered(self._options.liveness.heal_s)
            self._healing = self._pick_silent()
        return effects

    def onward(self, round_: int, now: float) -> list[Effect]:
        """What follows from the state alone, after any event: calls, asks, my own record, news."""
        self._calls = self._wanted()
        effects = self.dialer.call(self._calls, now)
        for peer in self.view.asks([link.peer for link in self.links], self.present(), now):
            urgent = not self.view.neighbors
            effects.append(Send(self.links.by_peer[peer].number, messages.Neighbor(kind="ask", urgent=urgent)))
        if self.directory.own_is_due(now):
            effects.append(
                self.directory.write_own(self._sequences.next(), self._addresses, self.view.neighbors, round_)
            )
        return effects + self.directory.spread([link.number for link in self.links], now)

    def present(self) -> int:
        """How many other peers are there, as far as I know: linked, or heard of and not failing to answer."""
        known = {*self.directory.others, *self.links.by_peer, *self.dialer.peers()}
        return sum(peer in self.links.by_peer or not self.dialer.seems_gone(peer) for peer in known)

    def neighbor_links(self) -> list[Link]:
        return [self.links.by_peer[peer] for peer in self.view.neighbors if peer in self.links.by_peer]

    def _wanted(self) -> list[PeerId | str]:
        """Whom to call: strangers, those the user named, my static neighbors, and peers while I lack neighbors."""
        linked = self.links.by_peer
        if len(linked) >= self._options.limits.links_max:
            return []
        wanted: list[PeerId | str] = [*self.dialer.strangers(), *self.dialer.insisted()]
        if self._healing is not None:
            wanted.append(self._healing)
        if self.view.named is not None:
            wanted += self.view.named
        elif len(self.view.neighbors) < self.view.wanted(self.present()):
            wanted += self.dialer.peers()
        return [key for key in dict.fromkeys(wanted) if key not in linked]

    def _pick_silent(self) -> PeerId | None:
        """One peer that I know and have no link to: so that halves of a cut network find each other again."""
        silent = [peer for peer in self.dialer.peers() if peer not in self.links.by_peer]
        return self._dice.sample(silent, 1)[0] if silent else None

    def _close_idle(self, now: float) -> list[Effect]:
        """Links beyond a small mesh that serve no averaging are closed, the longest unused first."""
        idle_s = self._options.liveness.idle_link_s
        spare = [ln for ln in self.links if ln.peer not in self.view.neighbors and now - ln.used_at > idle_s]
        surplus = max(len(self.links.by_peer) - self._options.overlay.mesh_peers_max, 0)
        chosen = sorted(spare, key=lambda link: link.used_at)[:surplus]
        return [effect for link in chosen for effect in self.hang_up(link, CloseCode.IDLE, "idle", now)]

    def _jittered(self, interval_s: float) -> float:
        return interval_s * (1 - _JITTER / 2 + _JITTER * self._dice.random())
