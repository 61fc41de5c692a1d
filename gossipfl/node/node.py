"""The shell around one peer: performs what the protocol wants, and brings back what happened.

    socket, mDNS, clock, worker -> event -> Peer.handle -> effects -> socket, worker, store, log

It forms no opinions.  The event loop moves bytes; three threads do what takes longer: `learning` trains, encodes and
mixes; `keeping` writes the store and the checkpoint; `hashing` verifies chunks too large to hash between two packets.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from gossipfl.config import NodeConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import Identity
from gossipfl.learning.data import Shard
from gossipfl.net import addresses
from gossipfl.net.link import Link
from gossipfl.net.transport import Transport
from gossipfl.node import lifeline, log, status
from gossipfl.node.history import History
from gossipfl.node.keeper import Keeper
from gossipfl.node.learning import MakeLearner, MakeWorker, Mixed, Workplace
from gossipfl.node.metrics import Metrics
from gossipfl.node.ruling import Ruling, sentence
from gossipfl.node.store import Store
from gossipfl.node.survey import Survey
from gossipfl.node.view import view_of
from gossipfl.node.worker import Worker
from gossipfl.protocol import events as ev
from gossipfl.protocol.peer import Peer
from gossipfl.protocol.setup import Setup
from gossipfl.wire.chunks import pieces, verify_chunk
from gossipfl.wire.messages import Close, encode
from gossipfl.wire.records import Frame

_INLINE_HASH_BYTES = 128 * 1024      # less takes under 0.1 ms, a thread's answer as long
_LAG_EVERY_S = 0.05

logger = logging.getLogger(__name__)
PrepareShard = Callable[[Shard], Shard]
MakePeer = Callable[[Setup, float], Peer]                            # at this time


class Node:
    """One running peer."""

    def __init__(
        self, federation: Federation, options: NodeConfig, state: Path, identity: Identity, store: Store,
        recent: log.Recent, shard: Shard, make_learner: MakeLearner, make_peer: MakePeer = Peer,
        make_worker: MakeWorker = Worker,
    ) -> None:  # fmt: skip
        self.federation, self.options, self.state, self.identity = federation, options, state, identity
        self.recent, self.metrics, self.links = recent, Metrics(), dict[int, Link]()
        self.history = History(store.last_round())
        self.started_at = time.time()
        self._store, self._make_peer = store, make_peer
        self._workplace = Workplace(federation, options, state, identity.peer_id, make_learner, make_worker)
        self._shard: Shard | None = shard                # until the learner has its own copy
        self._worker: Worker | None = None
        self._threads = {name: ThreadPoolExecutor(1, name) for name in ("learning", "keeping", "hashing")}
        self._events: deque[ev.Event] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0                                  # what the timer was set for
        self._survey = Survey()
        self.ruling = Ruling(options).told()             # the rule in force, as the learning thread told it last
        self._mixing: ev.Mix | None = None
        self._jobs: set[asyncio.Future[Any]] = set()
        self.is_ready = False                            # the learner is built: from now on something can be lost
        self.first_words = ""                            # said when it is ready: a start that fails leaves nothing
        self._exit_code = 0

    # -------------------------------------------------------------------------------------- from start to end

    async def run(self, *, live: bool) -> int:
        """Listen first, then find peers, then build the learner: who knocks early is answered."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._bug)
        self._keeper = Keeper(self._store, self.state, partial(self._job, "keeping"))
        self._clock_base = time.time() - self._loop.time()
        self._over: asyncio.Future[str] = self._loop.create_future()
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack, live=live)
                reason = await self._over
                logger.info("= leaving: %s", reason)
                if self.history.unmixed:
                    logger.warning("! in %d rounds nothing was mixed: the model stayed my own", self.history.unmixed)
                self._feed(ev.Stop())
                await self._keeper.settle()
        finally:
            for thread in self._threads.values():
                thread.shutdown(wait=False, cancel_futures=True)
        return self._exit_code

    async def _open(self, stack: AsyncExitStack, *, live: bool) -> None:
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self._interrupted, name)
        lifeline.hold(lambda: self._end("whoever started me has gone"))
        self.transport = Transport(self.identity, self.federation, self.options.limits, self)
        stack.push_async_callback(self.transport.aclose)
        self.bound = await self.transport.listen(self.options.listen)
        self.addresses = self._addresses_now()
        self.peer = self._make_peer(self._setup(), self._now())
        self._feed(ev.Tick())
        await self._open_status(stack)
        for text in self.options.discovery.peers:
            self._found(text, insist=True)
        await self._open_discovery(stack)
        logger.info("= %s listens on %s in %s", self.identity.peer_id, ", ".join(self.addresses), self.federation.name)
        self._job("learning", self._build_learner, self._learner_built)
        if live:
            from gossipfl.node import live as screen

            shown = asyncio.create_task(screen.show(self.view))
            stack.callback(shown.cancel)
        lag = asyncio.create_task(self._watch_lag())
        stack.callback(lag.cancel)

    def _addresses_now(self) -> tuple[str, ...]:
        """Where others can dial me: interfaces come and go."""
        return addresses.advertised(self.bound, self.options.announce, self.options.discovery.interfaces)

    def _setup(self) -> Setup:
        return Setup(
            identity=self.identity, federation=self.federation, options=self.options,
            dice=random.Random(secrets.randbits(64)), boot=secrets.token_bytes(16), boots=self._store.begin_boot(),
            addresses=self.addresses, records=tuple(self._store.records()),
            sequences=tuple(self._store.last_sequences().items()), trust=tuple(self._store.trust()),
            proofs=tuple(self._store.proofs()),
        )  # fmt: skip

    async def _open_status(self, stack: AsyncExitStack) -> None:
        url = ""
        if self.options.status:
            server = status.StatusServer(self.options.status, self.view, self.metrics)
            url = await server.start()
            stack.push_async_callback(server.aclose)
        status.write_node_file(self.state, str(self.identity.peer_id), list(self.bound), url)

    async def _open_discovery(self, stack: AsyncExitStack) -> None:
        if not self.options.discovery.mdns:
            return
        from gossipfl.net.discovery import Discovery

        port = addresses.parse(self.bound[0]).port
        discovery = Discovery(
            self.federation.discovery_tag, self.identity.peer_id, port, self._found, self.options.discovery,
            self._addresses_now, self.options.limits.candidates_max,
        )  # fmt: skip
        await discovery.start()
        stack.push_async_callback(discovery.aclose)

    def _interrupted(self, number: signal.Signals) -> None:
        self._exit_code = 130 if number is signal.SIGINT else 0
        self._end(f"{number.name} received")

    def _end(self, reason: str) -> None:
        if not self._over.done():
            self._over.set_result(reason)

    def _bug(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody caught is ours: end loudly.  A socket's is the network's."""
        error = context.get("exception")
        if isinstance(error, OSError) or not isinstance(error, Exception):
            logger.info("= %s", context.get("message"))
        elif not self._over.done():
            self._over.set_exception(error)

    # ------------------------------------------------------------------------------------------- the machine

    def _now(self) -> float:
        """Seconds that never go back and started at Unix time."""
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
        """Have a Tick come when the machine wants one.  Few events change when that is."""
        due = self.peer.wake_at()
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
        at = max(due - self._clock_base, self._loop.time() + 0.001)
        self._timer, self._due = self._loop.call_at(min(at, self._loop.time() + 3600.0), self._tick), due

    def _tick(self) -> None:
        self._timer = None
        self._feed(ev.Tick())

    def _perform(self, effect: ev.Effect) -> None:
        match effect:
            case ev.Send(number, message, transfer):
                if (link := self.links.get(number)) is not None:
                    link.send(encode(message, transfer))
            case ev.SendChunks(number, transfer, payload, chunks):
                if (link := self.links.get(number)) is not None:
                    link.send_bulk(transfer, (body for chunk in chunks for body in pieces(payload, chunk)))
            case ev.CancelChunks(number, transfer):
                if (link := self.links.get(number)) is not None:
                    link.cancel_bulk(transfer)
            case ev.CloseLink(number, code, text):
                if (link := self.links.get(number)) is not None:
                    link.close(encode(Close(code=code, text=text)), text)
            case ev.Dial(host, peer):
                self.transport.dial(host, peer)
            case ev.VerifyChunk():
                self._verify(effect)
            case ev.Train(number):
                self._job("learning", lambda: self._the_worker.train(number), self._feed)
            case ev.Mix():
                self._mixing = effect
                claims = self._survey.claims(self.peer.membership.directory, self._loop.time())
                self._job("learning", lambda: self._workplace.mix(self._the_worker, effect, claims), self._mixed)
            case ev.TakeSnapshot():
                self._job("hashing", self._the_worker.take_snapshot, self._feed)
            case ev.Forget(peer):
                if self._worker is not None:
                    self._job("learning", lambda: self._the_worker.forget(peer), lambda _: None)
            case ev.KeepRecord(record):
                self._keeper.record(record)
            case ev.DropRecord(silent):
                self._keeper.drop_record(silent)
            case ev.KeepManifest(signed):
                self._keeper.manifest(signed)
            case ev.KeepProof(first, second):
                self._keeper.keep(lambda: self._store.put_proof(first, second))
            case ev.KeepTrust(rows):
                self._keeper.keep(lambda: self._store.put_trust(rows))
            case ev.Story(mark, text, loud):
                self._tell(mark, text, loud)
            case ev.Finished(reason):
                self._end(reason)

    # ----------------------------------------------------------------------------------- threads and their work

    def _job(self, thread: str, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """Do `work` in a thread and come back with its result.  An exception there ends the node: it is no peer's."""
        future = self._loop.run_in_executor(self._threads[thread], work)
        self._jobs.add(future)
        future.add_done_callback(lambda done: self._back(done, then))

    def _back(self, future: asyncio.Future[Any], then: Callable[[Any], None]) -> None:
        self._jobs.discard(future)
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            then(future.result())
        elif not self._over.done():
            self._over.set_exception(error)

    @property
    def _the_worker(self) -> Worker:
        assert self._worker is not None, "work before the learner is built"
        return self._worker

    def _build_learner(self) -> ev.Ready:
        shard, self._shard = self._shard, None
        assert shard is not None
        self._worker, ready = self._workplace.build(shard)
        return ready

    def _learner_built(self, ready: ev.Ready) -> None:
        self.is_ready = True
        if self.first_words:
            logger.info(self.first_words)
        logger.info("= learner ready: %d parameters, round %d", ready.size, ready.round)
        self._feed(ready)

    def _mixed(self, result: Mixed) -> None:
        outcome, choice, self.ruling, save = result
        effect, self._mixing = self._mixing, None
        assert effect is not None
        if choice is not None:
            self._say(sentence(choice))
        if save is not None:
            self._keeper.checkpoint(save)
        row = self.history.round_row(effect, outcome, self.transport.links, self._now())
        self._keeper.keep(lambda: self._store.put_round(row))
        for line in self.history.told(effect, outcome):
            self._say(line)
        self._feed(outcome.mixed)

    def _verify(self, effect: ev.VerifyChunk) -> None:
        def verified(ok: bool) -> None:
            self._feed(ev.Verified(effect.peer, effect.root, effect.chunk, ok))

        if len(effect.data) <= _INLINE_HASH_BYTES:
            verified(verify_chunk(effect.data, effect.expected))
        else:
            self._job("hashing", lambda: verify_chunk(effect.data, effect.expected), verified)

    def _say(self, line: str) -> None:
        """A line with its mark in front."""
        self._tell(line[0], line[2:], loud=line[0] == "!")

    def _tell(self, mark: str, text: str, loud: bool) -> None:
        logger.log(logging.WARNING if loud else logging.INFO, "%s %s", mark, text)
        if loud:
            at = self._now()
            self._keeper.keep(lambda: self._store.put_event(at, mark, text))

    async def _watch_lag(self) -> None:
        """How late the event loop runs: the figure that says whether training disturbs it."""
        while True:
            due = self._loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self.history.lag(self._loop.time() - due)
            self.metrics.observe_lag(self._loop.time() - due)

    # ------------------------------------------------------------------------- what sockets and mDNS bring (Sink)

    def link_up(self, link: Link) -> None:
        self.links[link.number] = link
        self._feed(ev.LinkUp(link.number, link.peer_id, link.is_dialer, link.address))

    def frame(self, link: Link, frame: Frame) -> None:
        self._feed(ev.Received(link.number, frame))

    def link_down(self, link: Link, reason: str) -> None:
        self.links.pop(link.number, None)
        self.history.closed(link)
        self._feed(ev.LinkDown(link.number, reason, broken=link.fault is not None))

    def dial_failed(self, address: str, reason: str) -> None:
        if self.history.first_time(f"{address} {reason}"):
            self._tell("x", f"{address} not reached: {reason}", loud=False)
        self._feed(ev.DialFailed(address, reason))

    def refused(self, address: str, error: PeerError) -> None:
        if self.history.first_time(f"{address.rpartition(':')[0]} {type(error).__name__}"):
            self._tell("!", f"{address} refused: {error}", loud=True)

    def _found(self, text: str, insist: bool = False) -> None:
        host, port, peer = addresses.parse(text)
        self._feed(ev.Found(str(addresses.Address(host, port)), peer, insist))

    def view(self, *pages: str) -> dict[str, Any]:
        """What the status page and the live screen show."""
        return view_of(self, *pages)
