"""Two real transports on loopback, and a peer whose every byte a test decides."""

import asyncio
import socket
from contextlib import asynccontextmanager

from gossipfl.config import LimitsConfig
from gossipfl.federation import Federation
from gossipfl.identity import Identity
from gossipfl.net.transport import Transport
from gossipfl.wire.ciphers import CHACHAPOLY
from gossipfl.wire.handshake import Credentials, Dialer
from gossipfl.wire.messages import decode
from gossipfl.wire.records import RecordReader, pack_frame, pack_record, parse_frame

ALICE, BOB, CAROL = (Identity.from_seed(bytes([number] * 32)) for number in (1, 2, 3))
CLOSED = Federation(name="lab", id="01" * 16, key="02" * 32)
PATIENCE_S = 10.0                                        # a machine under load is slow, not wrong


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self):
        self.links, self.frames, self.down, self.failed, self.refusals = [], [], [], [], []
        self.refuse_frame = None                         # a PeerError to raise at the next frame
        self._news = asyncio.Event()

    def link_up(self, link):
        self.links.append(link)
        self._news.set()

    def frame(self, link, frame):
        self.frames.append((link, frame))
        self._news.set()
        if self.refuse_frame:
            raise self.refuse_frame

    def link_down(self, link, reason):
        self.down.append((link, reason))
        self._news.set()

    def dial_failed(self, address, reason):
        self.failed.append((address, reason))
        self._news.set()

    def refused(self, address, error):
        self.refusals.append((address, error))
        self._news.set()

    @property
    def messages(self):
        return [decode(frame, 60_000) for _, frame in self.frames]

    async def until(self, seen):
        """Wait until `seen()`, which is asked again at every event."""
        async with asyncio.timeout(PATIENCE_S):
            while not seen():
                self._news.clear()
                await self._news.wait()


def run(test):
    """Run a coroutine function on a loop on which nothing may go wrong unseen."""

    async def watched():
        complaints = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        await test()
        assert not complaints, complaints

    asyncio.run(watched())


@asynccontextmanager
async def peer(identity, federation=CLOSED, *, listen=None, suites=(), **limits):
    """A transport and its recorder; with `listen`, also where it can be dialed."""
    recorder = Recorder()
    transport = Transport(identity, federation, LimitsConfig(**limits), recorder, suites=suites)
    transport.recorder = recorder
    try:
        if listen:
            *_, transport.address = await transport.listen(listen)
        yield transport
    finally:
        await transport.aclose()


@asynccontextmanager
async def linked(**limits):
    """A link from Alice to Bob, who has `limits`: (Alice's end, Bob's end, their recorders)."""
    async with peer(BOB, listen="127.0.0.1:0", **limits) as bob, peer(ALICE) as alice:
        alice.dial(bob.address, BOB.peer_id)
        await alice.recorder.until(lambda: alice.recorder.links)
        await bob.recorder.until(lambda: bob.recorder.links)
        yield alice.recorder.links[0], bob.recorder.links[0], alice.recorder, bob.recorder


class RawPeer:
    """Alice's identity on a bare socket: proven, and then capable of anything."""

    def __init__(self, sock, channel):
        self.sock, self._channel = sock, channel
        self._reader = RecordReader()
        self._records = []
        self._pending = channel.rest

    def sealed(self, plaintext):
        return pack_record(self._channel.sealer.seal(plaintext))

    async def send(self, *frames):
        await self.send_bytes(b"".join(self.sealed(pack_frame(frame)) for frame in frames))

    async def send_bytes(self, data):
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self):
        """The next frame, or None at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._records:
                data, self._pending = self._pending, b""
                data = data or await asyncio.get_running_loop().sock_recv(self.sock, 65536)
                if not data:
                    return None
                self._records += self._reader.feed(data)
        return parse_frame(self._channel.opener.open(self._records.pop(0)))


@asynccontextmanager
async def raw_peer(address, *, receive_bytes=None):
    """A RawPeer connected to `address`, with a receive buffer of its choice."""
    loop = asyncio.get_running_loop()
    with raw_socket(address, receive_bytes) as sock:
        machine = Dialer(Credentials(ALICE, CLOSED.fingerprint, CLOSED.psk, b"s" * 32), CHACHAPOLY, b"e" * 32, None)
        await loop.sock_sendall(sock, machine.open())
        while machine.channel is None:
            await loop.sock_sendall(sock, machine.feed(await loop.sock_recv(sock, 4096)))
        yield RawPeer(sock, machine.channel)


def raw_socket(address, receive_bytes=None):
    """A connected socket, on which nothing was said."""
    host, port = address.rsplit(":", 1)
    sock = socket.socket()
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    try:
        sock.connect((host, int(port)))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
