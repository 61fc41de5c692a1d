"""How two peers of one federation become sure of each other: bytes in, bytes out, and at the end a channel.

    dialer -> listener    "gf" | version u8 | suite u8 | message 1         preamble, once, then libp2p-noise messages,
    listener -> dialer    message 2: keys, identity                        each behind its length as u16 big endian
    dialer -> listener    message 3: keys, identity

Noise XX, and XXpsk0 in a closed federation: a stranger fails at message 1, before any identity is shown.  The prologue
is preamble and federation fingerprint, so a mix-up or a downgrade fails the first tag.  Messages 2 and 3 carry the
payload of libp2p-noise: an Ed25519 key and its signature over the X25519 key of this channel.  Sockets, deadlines and
the choice of a suite are net/transport.py's; who may stay is the protocol's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gossipfl.identity import BadKey, BadSignature, Identity, PeerId, verify
from gossipfl.wire.ciphers import CipherState, Suite
from gossipfl.wire.messages import VERSION
from gossipfl.wire.noise import PATTERNS, BadHandshake, HandshakeState, public_key

PREAMBLE_BYTES = 4
HANDSHAKE_BYTES_MAX = 512                                # of one side, all it may send before it has proved who it is
_MAGIC = b"gf"
_LENGTH_BYTES = 2
_KEY_PREFIX = bytes.fromhex("08011220")                  # protobuf(type=Ed25519, 32 bytes)
_SIGNED_PREFIX = b"noise-libp2p-static-key:"
_KEY_FIELD, _SIGNATURE_FIELD = 1, 2
_LENGTH_DELIMITED = 2


class WrongPeer(BadHandshake):
    """Somebody answered, and proved to be another than the one who was dialed."""


class UnknownSuite(BadHandshake):
    """The dialer wants a cipher that this listener does not have; it may dial again with another."""


class Channel(NamedTuple):
    """Both ends proved.  `rest` is what came after the last handshake message: the first records."""

    peer_id: PeerId
    sealer: CipherState
    opener: CipherState
    rest: bytes


class Credentials(NamedTuple):
    """What one side brings: its identity, its federation, and the X25519 key of this process, never stored."""

    identity: Identity
    fingerprint: bytes                                   # of the federation, 32 bytes
    psk: bytes | None                                    # of a closed federation
    static: bytes                                        # private


class _Machine:
    """Cuts what arrives into messages and keeps the bound; the sides say what a message means."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._buffer = bytearray()
        self._received = 0                               # bytes of this handshake, announced ones included
        self.channel: Channel | None = None

    def feed(self, data: bytes | memoryview) -> bytes:
        """What to send in answer, possibly nothing.  Sets `channel` when done.  Raises BadHandshake."""
        assert self.channel is None
        self._buffer += data
        return b"".join(self._answers())

    def _answers(self) -> Iterator[bytes]:
        raise NotImplementedError

    def _take(self, size: int) -> bytes | None:
        """The next `size` bytes, or None until they have arrived."""
        if self._received + size > HANDSHAKE_BYTES_MAX:
            raise BadHandshake(f"a handshake of more than {HANDSHAKE_BYTES_MAX} bytes")
        if len(self._buffer) < size:
            return None
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._received += size
        return taken

    def _message(self) -> bytes | None:
        """The next length-prefixed message, or None until it is complete."""
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        framed = self._take(_LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "big"))
        return framed and framed[_LENGTH_BYTES:]

    def _noise(self, preamble: bytes, suite: Suite, ephemeral: bytes, *, initiator: bool) -> HandshakeState:
        mine = self._credentials
        return HandshakeState(
            PATTERNS["XXpsk0" if mine.psk else "XX"], suite, initiator=initiator, ephemeral=ephemeral,
            prologue=preamble + mine.fingerprint, static=mine.static, psk=mine.psk,
        )  # fmt: skip

    def _payload(self) -> bytes:
        return encode_payload(self._credentials.identity, public_key(self._credentials.static))

    def _finish(self, noise: HandshakeState, peer_id: PeerId) -> None:
        sealer, opener = noise.split()
        self.channel = Channel(peer_id, sealer, opener, bytes(self._buffer))


class Dialer(_Machine):
    """The side that connects.  `open` first, then `feed`."""

    def __init__(self, credentials: Credentials, suite: Suite, ephemeral: bytes, expected: PeerId | None) -> None:
        super().__init__(credentials)
        self._expected = expected
        self._preamble = _MAGIC + bytes([VERSION, suite.code])
        self._state = self._noise(self._preamble, suite, ephemeral, initiator=True)

    def open(self) -> bytes:
        """Preamble and message 1."""
        return self._preamble + _framed(self._state.write())

    def _answers(self) -> Iterator[bytes]:
        message = self._message()
        if message is None:
            return
        peer_id = decode_payload(self._state.read(message), self._state.remote_static)
        # Whoever answered learns who I am from message 3, so the check belongs here and not after it.
        if self._expected not in (None, peer_id):
            raise WrongPeer(f"dialed {self._expected} and {peer_id} answered")
        yield _framed(self._state.write(self._payload()))
        self._finish(self._state, peer_id)


class Listener(_Machine):
    """The side that was connected to, with the suites that it can speak."""

    def __init__(self, credentials: Credentials, suites: Sequence[Suite], ephemeral: bytes) -> None:
        super().__init__(credentials)
        self._suites = {suite.code: suite for suite in suites}
        self._ephemeral = ephemeral
        self._state: HandshakeState | None = None
        self._answered = False

    def _answers(self) -> Iterator[bytes]:
        if self._state is None and (preamble := self._take(PREAMBLE_BYTES)):
            self._state = self._noise(preamble, self._suite_of(preamble), self._ephemeral, initiator=False)
        if self._state is None:
            return
        if not self._answered and (message := self._message()) is not None:
            self._state.read(message)
            self._answered = True
            yield _framed(self._state.write(self._payload()))
        if self._answered and (message := self._message()) is not None:
            self._finish(self._state, decode_payload(self._state.read(message), self._state.remote_static))

    def _suite_of(self, preamble: bytes) -> Suite:
        if preamble[:2] != _MAGIC:
            raise BadHandshake(f"{preamble.hex()} is not how a peer of this program opens")
        if preamble[2] != VERSION:
            raise BadHandshake(f"wire version {preamble[2]}; I speak {VERSION}")
        if preamble[3] not in self._suites:
            raise UnknownSuite(f"cipher suite {preamble[3]}; I speak {sorted(self._suites)}")
        return self._suites[preamble[3]]


def encode_payload(identity: Identity, static_public: bytes) -> bytes:
    """libp2p-noise's NoiseHandshakePayload: the identity's key, and its signature over this channel's key."""
    fields = (
        (_KEY_FIELD, _KEY_PREFIX + identity.peer_id),
        (_SIGNATURE_FIELD, identity.sign(_SIGNED_PREFIX + static_public)),
    )
    return b"".join(bytes([number << 3 | _LENGTH_DELIMITED, len(value)]) + value for number, value in fields)


def decode_payload(payload: bytes, static_public: bytes) -> PeerId:
    """The peer that `payload` proves to own this channel's key.  Raises BadHandshake."""
    fields = _fields(payload)
    key, signature = fields.get(_KEY_FIELD, b""), fields.get(_SIGNATURE_FIELD, b"")
    if not key.startswith(_KEY_PREFIX):
        raise BadHandshake("the handshake names no Ed25519 identity")
    try:
        peer_id = PeerId(key[len(_KEY_PREFIX) :])
        verify(peer_id, _SIGNED_PREFIX + static_public, signature)
    except (BadKey, BadSignature) as error:
        raise BadHandshake(f"the handshake proves no identity: {error}") from None
    return peer_id


def _fields(payload: bytes) -> dict[int, bytes]:
    """The length-delimited fields of a protobuf message, each at most once; unknown ones are for later versions."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(payload):
        tag, at = _uvarint(payload, at)
        size, at = _uvarint(payload, at)
        number = tag >> 3
        if tag & 7 != _LENGTH_DELIMITED or number in fields or at + size > len(payload):
            raise BadHandshake(f"malformed field {number} in a handshake payload of {len(payload)} bytes")
        fields[number] = payload[at : at + size]
        at += size
    return fields


def _uvarint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at` and where it ends: two bytes at most, which is plenty for a payload of half a kilobyte."""
    number = 0
    for shift in (0, 7):
        if at >= len(data):
            break
        byte, at = data[at], at + 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise BadHandshake("malformed number in a handshake payload")


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(_LENGTH_BYTES, "big") + message
