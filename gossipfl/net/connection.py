"""A connection whose other end has proved nothing yet: moves the bytes of a handshake, and no more than those.

Refusing is a reset.  One case ends cleanly instead, a cipher that this listener does not have: so a dialer that sees a
clean end before any byte knows that another cipher may help, and that after a reset it would not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gossipfl.errors import GossipflError, LinkError, PeerError
from gossipfl.net.sockets import end_half, remote, reset, tune
from gossipfl.wire.handshake import HANDSHAKE_BYTES_MAX, Channel, Dialer, Listener, UnknownSuite


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
        assert self.transport is not None
        reset(self.transport)

    def leave(self, last: bytes) -> None:
        """Send `last`, end my half, and ignore what still comes until the other end closes or `refuse` is called."""
        self._over = True
        assert self.transport is not None
        self.transport.write(last)
        end_half(self.transport)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.host, port = remote(transport)
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
