"""One end of an exchange of updates, made of a daemon's parts: transport, exchange, a thread that hashes.

It performs the effects of protocol/exchange.py as node/daemon.py does, without a learner, a store or rounds.  `Source`
publishes; `Target` fetches, and takes the time of every update from its announcement to its last verified byte.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from gossipfl.codec import CODECS
from gossipfl.config import KIB, LimitsConfig, ModelConfig
from gossipfl.errors import PeerError
from gossipfl.federation import Federation
from gossipfl.identity import Identity
from gossipfl.net.link import Link
from gossipfl.net.transport import Transport
from gossipfl.protocol import events as ev
from gossipfl.protocol.exchange import Exchange
from gossipfl.wire.chunks import Payload, pieces, verify_chunk
from gossipfl.wire.manifest import Manifest, next_state, sign_manifest
from gossipfl.wire.messages import CHUNK, Announce, Done, Message, Want, decode, encode
from gossipfl.wire.records import Frame

SOURCE, TARGET = (Identity.from_seed(name.ljust(32, b".")) for name in (b"source", b"target"))
FEDERATION = Federation(name="bench", id="01" * 16, key="02" * 32, model=ModelConfig())
CODEC = "float32"
LIMITS = LimitsConfig()                      # a daemon's own
_INLINE_HASH_BYTES = 128 * KIB               # a daemon hashes less than this between two packets


class End:
    """A sink for a transport (net/link.py), with one link."""

    def __init__(self, identity: Identity, numbers: int) -> None:
        """numbers: the length of the vectors that are exchanged."""
        self._identity = identity
        self._loop = asyncio.get_running_loop()
        self._hashing = ThreadPoolExecutor(1, "hashing")
        self._exchange = Exchange(FEDERATION, LIMITS, {})
        self._exchange.ready(numbers, CODECS[CODEC].payload_bytes(numbers), self._exchange.state)
        self._link: asyncio.Future[Link] = self._loop.create_future()
        self.transport = Transport(identity, FEDERATION, LIMITS, self)

    async def link(self) -> Link:
        """The one link, once it is up."""
        return await self._link

    async def aclose(self) -> None:
        await self.transport.aclose()
        self._hashing.shutdown()

    def link_up(self, link: Link) -> None:
        self._exchange.add(link.peer_id)
        self._link.set_result(link)

    def link_down(self, link: Link, reason: str) -> None:
        """Expected at the end, and until then a bug that the waiting side will notice."""

    def dial_failed(self, address: str, reason: str) -> None:
        self._link.set_exception(ConnectionError(f"{address}: {reason}"))

    def refused(self, address: str, error: PeerError) -> None:
        self._link.set_exception(error)

    def frame(self, link: Link, frame: Frame) -> None:
        if frame.type == CHUNK:
            self._perform(link, self._exchange.chunk(link.peer_id, link.number, frame))
        elif (message := decode(frame, LIMITS.control_bytes_max)) is not None:
            self._message(link, message, frame.id)

    def _message(self, link: Link, message: Message, transfer: int) -> None:
        raise NotImplementedError

    def _perform(self, link: Link, effects: Iterable[ev.Effect]) -> None:
        for effect in effects:
            match effect:
                case ev.Send(_, message, transfer):
                    link.send(encode(message, transfer))
                case ev.SendChunks(_, transfer, payload, chunks):
                    link.send_bulk(transfer, (body for chunk in chunks for body in pieces(payload, chunk)))
                case ev.VerifyChunk():
                    self._verify(link, effect)

    def _verify(self, link: Link, effect: ev.VerifyChunk) -> None:
        raise NotImplementedError


class Source(End):
    """Publishes payloads, and hears which have arrived."""

    def __init__(self, numbers: int) -> None:
        super().__init__(SOURCE, numbers)
        self.arrived = asyncio.Queue[int]()

    async def publish(self, payload: Payload, round_: int) -> None:
        """Sign a manifest and announce it: from here on the target fetches by itself."""
        link, base = await self.link(), self._exchange.state
        manifest = Manifest(
            federation=FEDERATION.fingerprint, kind="delta", round=round_, sequence=round_, base=base,
            state=next_state(base, payload.root), codec=CODEC, size=payload.size, root=payload.root,
            spec=self._exchange.vectors.spec, examples=1, degree=1, created_ms=int(time.time() * 1000),
        )  # fmt: skip
        self._perform(link, self._exchange.publish(sign_manifest(self._identity, manifest), payload, [link.number]))

    def _message(self, link: Link, message: Message, transfer: int) -> None:
        if isinstance(message, Want):
            self._perform(link, self._exchange.serve(link.number, transfer, message))
        elif isinstance(message, Done):
            self.arrived.put_nowait(message.round)


class Target(End):
    """Fetches what is announced."""

    def __init__(self, numbers: int) -> None:
        super().__init__(TARGET, numbers)
        self.seconds: list[float] = []           # from ANNOUNCE to verified, per update
        self.total_s = 0.0                       # from the first ANNOUNCE to the last update verified
        self._began_at: float | None = None
        self._announced_at = deque[float]()      # updates are verified in the order in which they were announced

    async def hashing_s(self) -> float:
        """CPU seconds that the hashing thread has used."""
        return await self._loop.run_in_executor(self._hashing, time.thread_time)

    def _message(self, link: Link, message: Message, transfer: int) -> None:
        if isinstance(message, Announce):
            self._announced_at.append(time.perf_counter())
            self._began_at = self._began_at or self._announced_at[0]
            now = self._loop.time()
            self._perform(link, self._exchange.announced(link.peer_id, link.number, message, None, now))

    def _verify(self, link: Link, effect: ev.VerifyChunk) -> None:
        if len(effect.data) <= _INLINE_HASH_BYTES:
            self._verified(link, effect, verify_chunk(effect.data, effect.expected))
            return
        hashed = self._loop.run_in_executor(self._hashing, verify_chunk, effect.data, effect.expected)
        hashed.add_done_callback(lambda done: self._verified(link, effect, done.result()))

    def _verified(self, link: Link, effect: ev.VerifyChunk, ok: bool) -> None:
        now = self._loop.time()
        update = self._exchange.verified(effect.peer, effect.root, effect.chunk, ok, now)
        if update is not None:
            assert self._began_at is not None
            at = time.perf_counter()
            self.seconds.append(at - self._announced_at.popleft())
            self.total_s = at - self._began_at
            self._exchange.take(effect.peer, None)
            link.send(encode(Done(round=len(self.seconds))))
        self._perform(link, self._exchange.fetch(effect.peer, link.number, now))
