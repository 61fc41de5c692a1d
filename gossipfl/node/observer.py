"""The whole topology, seen by a visitor: a peer with a throw-away key that asks a few nodes what they know, and leaves.

Decides whom to ask and when their answers are complete.  What is said and what is believed is decided by the same
machine that runs in every node (protocol/peer.py), with a record that names nothing, so that nobody keeps it
(protocol/directory.py); it has no learner, becomes nobody's neighbor and announces nothing.  What a node shows of
itself on its own machine is node/view.py's.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from gossipfl.config import DiscoveryConfig, LimitsConfig, NodeConfig, OverlayConfig
from gossipfl.errors import ConfigError, PeerError, UserError
from gossipfl.federation import Federation
from gossipfl.identity import Identity, PeerId
from gossipfl.net import addresses
from gossipfl.net.link import Link
from gossipfl.net.transport import Transport
from gossipfl.protocol import events as ev
from gossipfl.protocol.directory import Directory
from gossipfl.protocol.peer import Peer
from gossipfl.protocol.setup import Setup
from gossipfl.wire.manifest import PeerRecord, Signed
from gossipfl.wire.messages import Close, Hello, Summary, decode, encode
from gossipfl.wire.records import Frame

_NODES = 4                           # asked at once: one knows everybody, unless it lies by leaving somebody out
_ECHOES = 2                          # behind my DIGEST, and behind my answers to all summaries that it brought
_OTHERS_S = 0.15                     # guess: nodes heard of together with the first one answer as soon
_REASONS_MAX = 3                     # told in the error


class NobodyAnswers(UserError):
    """No node of the federation could be asked."""


def observe(
    federation: Federation,
    *,
    peers: Sequence[str] = (),
    mdns: bool = True,
    interfaces: Sequence[str] = (),
    wait_s: float = 10.0,
) -> dict[str, Any]:
    """Who is there and who averages with whom, as plain data for JSON.  Blocks, and runs an event loop of its own.

    peers: addresses to ask, ``host:port`` or ``PEERID@host:port``; mdns: also ask whom the LAN announces, on
    `interfaces` (addresses of this machine; empty = all).  Returns

        nodes    peer IDs, everybody of whom a record is held
        edges    pairs of peer IDs; both ends claim them        claimed  pairs; only the first one does
        asked    peer IDs of the nodes that told what they know
        records  of each peer: id, addresses, neighbors (those that are nodes), round (a claim), sequence

    Raises NobodyAnswers if no answer is complete within `wait_s`, ConfigError if an address is none.
    """
    if not peers and not mdns:
        raise ConfigError("there is nobody to ask: name the address of a node or leave mDNS on", "peer")
    found = [addresses.parse(text) for text in peers]
    discovery = DiscoveryConfig(mdns=mdns, interfaces=tuple(interfaces))
    return asyncio.run(_observe(federation, found, discovery, wait_s))


async def _observe(
    federation: Federation, named: list[addresses.Address], discovery: DiscoveryConfig, wait_s: float
) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        visit = _Visit(federation)
        stack.push_async_callback(visit.aclose)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                for address in named:
                    visit.found(address)
                if discovery.mdns:
                    await _listen(stack, visit, discovery)
                await visit.over
    if not visit.asked:
        raise _nobody(federation, visit.reasons, wait_s)
    return _seen(visit.peer.membership.directory, visit.asked)


async def _listen(stack: AsyncExitStack, visit: _Visit, options: DiscoveryConfig) -> None:
    """Hear of nodes by mDNS, without a word about me."""
    from gossipfl.net.discovery import Discovery

    mine = tuple(addresses.interface_addresses(options.interfaces))
    tag, me = visit.federation.discovery_tag, visit.peer.me
    discovery = Discovery(tag, me, 0, lambda text: visit.found(addresses.parse(text)), options, mine)
    stack.push_async_callback(discovery.aclose)
    await discovery.start()


class _Visit:
    """The shell around the visiting peer, as node/node.py is around a node's.  `over` is done when all is told.

    Control frames of a link are handled and answered in order.  So when the second echo (protocol/directory.py) comes
    back, everything has come that the machine asked for, however slow the node is.
    """

    def __init__(self, federation: Federation) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._bug)
        self._clock_base = time.time() - self._loop.time()
        options = NodeConfig(
            overlay=OverlayConfig(kind="static"),        # that names nobody: whoever asks is declined
            limits=LimitsConfig(links_max=_NODES, dials_per_s=_NODES),
        )
        identity = Identity.generate()
        self.federation, self._limits = federation, options.limits
        self.over: asyncio.Future[None] = self._loop.create_future()
        self.asked: set[PeerId] = set()
        self.reasons: dict[str, str] = {}                # address or peer -> why it did not answer
        self._links: dict[int, Link] = {}
        self._echoes: dict[int, int] = {}                # link -> how many came back
        self._events: deque[ev.Event] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False                            # the others have had their moment
        self._transport = Transport(identity, federation, options.limits, self)
        dice, boot = random.Random(secrets.randbits(64)), secrets.token_bytes(16)
        self.peer = Peer(
            Setup(identity=identity, federation=federation, options=options, dice=dice, boot=boot, boots=1), self._now()
        )

    def found(self, address: addresses.Address) -> None:
        """Ask whoever is there.  All are dialed, named or heard of: who answers first is as good as any other."""
        self._feed(ev.Found(str(address._replace(peer=None)), address.peer, insist=True))

    async def aclose(self) -> None:
        """Say goodbye and close."""
        self._feed(ev.Stop())
        await self._transport.aclose()

    # ------------------------------------------------------------------------------------------- the machine

    def _now(self) -> float:
        return self._clock_base + self._loop.time()

    def _feed(self, event: ev.Event) -> None:
        """One event at a time; what an effect brings back at once waits its turn."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            for effect in self.peer.handle(self._events[0], self._now()):
                self._perform(effect)
            self._events.popleft()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_s = self.peer.wake_at() - self._now()        # endless once it has stopped
        if due_s < float("inf"):
            self._timer = self._loop.call_later(max(due_s, 0.001), self._feed, ev.Tick())

    def _perform(self, effect: ev.Effect) -> None:
        """What a peer without learner, disk and neighbors can want: the rest never comes or has no place here."""
        match effect:
            case ev.Send(number, message, transfer) if number in self._links:
                self._links[number].send(encode(message, transfer))
            case ev.CloseLink(number, code, text) if number in self._links:
                self._links[number].close(encode(Close(code=code, text=text)), text)
            case ev.Dial(host, peer):
                self._transport.dial(host, peer)
            case ev.Story(_, text, loud=True):
                self._note_reason(text.partition(" ")[0], text)

    # --------------------------------------------------------------------------------------- what sockets bring (Sink)

    def link_up(self, link: Link) -> None:
        self._links[link.number], self._echoes[link.number] = link, 0
        self._feed(ev.LinkUp(link.number, link.peer_id, link.is_dialer, link.address))

    def frame(self, link: Link, frame: Frame) -> None:
        """Raises PeerError for a frame that is no message; updates are none of a visitor's business."""
        message = decode(frame, self._limits.control_bytes_max)
        self._feed(ev.Received(link.number, frame))
        if isinstance(message, Summary) and message.answer:
            self._echoes[link.number] += 1
            self._look()
        elif not isinstance(message, Hello):
            return
        if self._echoes[link.number] < _ECHOES:
            link.send(encode(self.peer.membership.directory.echo()))

    def link_down(self, link: Link, reason: str) -> None:
        del self._links[link.number], self._echoes[link.number]
        if link.peer_id.short not in self.reasons:       # else the machine said it better
            self._note_reason(link.address, f"{link.address}: {reason}")
        self._feed(ev.LinkDown(link.number, reason, broken=link.fault is not None))
        self._look()

    def dial_failed(self, address: str, reason: str) -> None:
        self._note_reason(address, f"{address}: {reason}")
        self._feed(ev.DialFailed(address, reason))

    def refused(self, address: str, error: PeerError) -> None:
        raise AssertionError(f"{address} called a visitor, who does not listen")

    # ------------------------------------------------------------------------------------- when all has been told

    def _look(self) -> None:
        """Over when every node that greeted me, of those whose links are still there, has told what it knows."""
        greeted = list(self.peer.membership.links)
        complete = {link.peer for link in greeted if self._echoes[link.number] >= _ECHOES}
        if complete and not self.asked:
            self._loop.call_later(_OTHERS_S, self._look_at_last)
        self.asked |= complete
        if self._is_late and len(complete) == len(greeted) and not self.over.done():
            self.over.set_result(None)

    def _look_at_last(self) -> None:
        self._is_late = True
        self._look()

    def _note_reason(self, who: str, reason: str) -> None:
        if len(self.reasons) < _REASONS_MAX:
            self.reasons.setdefault(who, reason)

    def _bug(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody caught is ours: end loudly.  A socket's is the network's."""
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError) and not self.over.done():
            self.over.set_exception(error)


# ------------------------------------------------------------------------------------------------------ what is told


def _seen(directory: Directory, asked: set[PeerId]) -> dict[str, Any]:
    names: dict[bytes, str] = {peer: str(peer) for peer in sorted(directory.others)}
    both, one = ([[names[a], names[b]] for a, b in edges if a in names and b in names] for edges in directory.edges())
    return {
        "nodes": list(names.values()),
        "edges": both,
        "claimed": one,
        "asked": sorted(map(str, asked)),
        "records": [_record(directory.records[peer], names) for peer in sorted(directory.others)],
    }


def _record(signed: Signed[PeerRecord], names: dict[bytes, str]) -> dict[str, Any]:
    record = signed.document
    return {
        "id": names[signed.signer],
        "addresses": list(record.addresses),
        "neighbors": [names[key] for key in record.neighbors if key in names],       # others may be no keys at all
        "round": record.round,
        "sequence": record.sequence,
    }


def _nobody(federation: Federation, reasons: dict[str, str], wait_s: float) -> NobodyAnswers:
    why = f" ({'; '.join(reasons.values())})" if reasons else ""
    remedy = "see that one runs, and that this file has its federation's id and key"
    named = "" if reasons else ", or name one with --peer HOST:PORT, as those on 127.0.0.1 alone must be"
    return NobodyAnswers(f"no node of {federation.name} answered within {wait_s:g} s{why}: {remedy}{named}")
