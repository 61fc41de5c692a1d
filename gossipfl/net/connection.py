"""A connection whose other end has proved nothing yet: moves the bytes of a handshake, and no more than those.

Refusing is a reset.  One case ends cleanly instead, a cipher that this listener does not have: so a dialer that sees a
clean end before any byte knows that another cipher may help, and that after a reset it would not.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

from gossipfl.config import KIB
from gossipfl.errors import GossipflError, LinkError, PeerError
from gossipfl.wire.handshake import HANDSHAKE_BYTES_MAX, Channel, Dialer, Listener, UnknownSuite

_OPTIONS = (
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 15),                 # seconds; keepalive sees the death of an idle link ...
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 5),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 20_000),         # milliseconds; ... and this one of a busy link
    ("IPPROTO_TCP", "TCP_NOTSENT_LOWAT", 128 * KIB),     # what the kernel holds unsent goes before any control frame
)


class Unanswered(LinkError):
    """The other end closed cleanly without a byte: perhaps another cipher suits it."""


class HandshakeCut(PeerError):
    """The other end left before it had proved anything."""


class Connection(asyncio.BufferedProtocol):
    """Runs one handshake machine: calls `done` or `failed`, once.

    `made` is called when the address is known, `lost` at the end of a connection that was not handed on by `done`.
    """

    def __init__(
        self, machine: Dialer | Listener, *, done: Callable[[Connection, Channel], None],
        failed: Callable[[Connection, GossipflError], None],
        made: Callable[[Connection], None] = lambda _: None, lost: Callable[[Connection], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._machine = machine
        self._done, self._failed, self._made, self._lost = done, failed, made, lost
        self._buffer = bytearray(2 * HANDSHAKE_BYTES_MAX)
        self._over = False
        self.transport: asyncio.Transport | None = None
        self.host, self.address = "", ""
        self.bytes_sent = self.bytes_received = 0

    def refuse(self, error: GossipflError) -> None:
        """Reset the connection; `error` is told unless something was told before."""
        if not self._over:
            self._end(error)
        self._reset()

    def leave(self, last: bytes) -> None:
        """Send `last`, end my half, and ignore what still comes until the other end closes or `refuse` is called."""
        self._over = True
        assert self.transport is not None
        self.transport.write(last)
        self.transport.write_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.host, port = _unmapped(transport.get_extra_info("peername"))
        self.address = f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
        tune(transport.get_extra_info("socket"))
        self._made(self)
        if isinstance(self._machine, Dialer):
            self._send(self._machine.open())

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._over:
            return
        self.bytes_received += nbytes
        try:
            self._send(self._machine.feed(memoryview(self._buffer)[:nbytes]))
        except UnknownSuite as error:
            self._end(error)
            self.leave(b"")
        except PeerError as error:
            self.refuse(error)
        else:
            self._advance()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self)
        if not self._over:
            self._end(self._why_lost(error))

    def _why_lost(self, error: Exception | None) -> GossipflError:
        if isinstance(self._machine, Listener):
            return HandshakeCut(f"left after {self.bytes_received} bytes of its handshake")
        if error is None and self.bytes_received == 0:
            return Unanswered("it closed without an answer")
        return LinkError("it refused the handshake: of another federation, or too busy")

    def _advance(self) -> None:
        if self._machine.channel is not None:
            self._over = True
            self._done(self, self._machine.channel)

    def _send(self, data: bytes) -> None:
        if data:
            assert self.transport is not None
            self.bytes_sent += len(data)
            self.transport.write(data)

    def _end(self, error: GossipflError) -> None:
        self._over = True
        self._failed(self, error)

    def _reset(self) -> None:
        assert self.transport is not None
        with contextlib.suppress(OSError):
            linger_for_none = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_none)
        self.transport.abort()


def tune(sock: socket.socket) -> None:
    """Set what this platform knows of the options that notice dead links soon and keep the kernel's queue short."""
    for level, name, value in _OPTIONS:
        if hasattr(socket, name):
            with contextlib.suppress(OSError):           # some sandboxes name options that they do not have
                sock.setsockopt(getattr(socket, level), getattr(socket, name), value)


def _unmapped(peername: tuple[str, int] | tuple[str, int, int, int]) -> tuple[str, int]:
    """Host and port; an IPv4 client of a dual-stack listener by its IPv4 address."""
    return peername[0].removeprefix("::ffff:"), peername[1]
