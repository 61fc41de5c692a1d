"""The Noise Protocol Framework, revision 34: who shares which secret with whom, and the ciphers that follow from it.

A pattern is data: a table of tokens.  The names are the specification's (SymmetricState, HandshakeState).  X25519 is
libsodium's, SHA-256 the standard library's.  It draws no random number: private keys are arguments.  What the messages
carry and who may send them is wire/handshake.py's matter.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

import nacl.bindings
import nacl.exceptions

from gossipfl.errors import PeerError
from gossipfl.wire.ciphers import KEY_BYTES, NONCE_MAX, TAG_BYTES, BadRecord, CipherState, Suite


class BadHandshake(PeerError):
    """A handshake message that is too short, altered, made with other keys or for another federation."""


class Pattern(NamedTuple):
    """Token tables: what each side knows of the other beforehand, then the messages in turn, initiator first."""

    name: str
    known: tuple[str, ...]                               # "i": responder knows initiator's static key; "r": vice versa
    messages: tuple[tuple[str, ...], ...]


_XX = (("e",), ("e", "ee", "s", "es"), ("s", "se"))
PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern("NN", (), (("e",), ("e", "ee"))),
        Pattern("KK", ("i", "r"), (("e", "es", "ss"), ("e", "ee", "se"))),
        Pattern("IK", ("r",), (("e", "es", "s", "ss"), ("e", "ee", "se"))),
        Pattern("XX", (), _XX),
        Pattern("NNpsk0", (), (("psk", "e"), ("e", "ee"))),
        Pattern("XXpsk0", (), (("psk", *_XX[0]), *_XX[1:])),
        Pattern("XXpsk3", (), (*_XX[:2], (*_XX[2], "psk"))),
    )
}


def public_key(private: bytes) -> bytes:
    """The X25519 public key of 32 private bytes."""
    return nacl.bindings.crypto_scalarmult_base(private)


def dh(private: bytes, public: bytes) -> bytes:
    """The X25519 shared secret.  Raises BadHandshake where libsodium does: for keys that force it to zero."""
    try:
        return nacl.bindings.crypto_scalarmult(private, public)
    except nacl.exceptions.RuntimeError:
        raise BadHandshake(f"the key {public[:4].hex()}... forces a shared secret of zeros") from None


def hkdf(salt: bytes, material: bytes, outputs: int, info: bytes = b"") -> list[bytes]:
    """So many 32-byte keys (RFC 5869 with SHA-256; Noise leaves `info` empty)."""
    secret = hmac.digest(salt, material, "sha256")
    keys = [b""]
    for number in range(1, outputs + 1):
        keys.append(hmac.digest(secret, keys[-1] + info + bytes([number]), "sha256"))
    return keys[1:]


class SymmetricState:
    """Chaining key and transcript hash: everything said so far is bound into every later key and tag."""

    def __init__(self, protocol_name: str, suite: Suite) -> None:
        name = protocol_name.encode()
        self.hash = name.ljust(32, b"\0") if len(name) <= 32 else hashlib.sha256(name).digest()
        self._chaining_key = self.hash
        self._suite = suite
        self._cipher = CipherState(suite)

    @property
    def has_key(self) -> bool:
        return self._cipher.has_key

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.sha256(self.hash + data).digest()

    def mix_key(self, material: bytes) -> None:
        self._chaining_key, key = hkdf(self._chaining_key, material, 2)
        self._cipher = CipherState(self._suite, key)

    def mix_key_and_hash(self, material: bytes) -> None:
        self._chaining_key, for_hash, key = hkdf(self._chaining_key, material, 3)
        self.mix_hash(for_hash)
        self._cipher = CipherState(self._suite, key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.seal(plaintext, self.hash)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.open(ciphertext, self.hash)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self, nonce_max: int) -> tuple[CipherState, CipherState]:
        """The ciphers of the two directions, initiator's first."""
        first, second = hkdf(self._chaining_key, b"", 2)
        return CipherState(self._suite, first, nonce_max), CipherState(self._suite, second, nonce_max)


class HandshakeState:
    """One side of a handshake: `write` and `read` in turn until `finished`, then `split`.

    Keys are 32 bytes: `ephemeral` and `static` private, `remote_static` public.  Tokens "ee", "es", "se", "ss" name the
    initiator's key first.  Raises BadHandshake; a failed state is of no further use.
    """

    def __init__(
        self, pattern: Pattern, suite: Suite, *, initiator: bool, prologue: bytes, ephemeral: bytes,
        static: bytes | None = None, remote_static: bytes | None = None, psk: bytes | None = None,
    ) -> None:  # fmt: skip
        self._initiator, self._psk = initiator, psk
        self._messages = list(pattern.messages)
        self._has_psk = any("psk" in tokens for tokens in pattern.messages)
        self._private = {"e": ephemeral, "s": static}
        self._remote = {"s": remote_static}
        self._symmetric = SymmetricState(f"Noise_{pattern.name}_25519_{suite.name}_SHA256", suite)
        self._symmetric.mix_hash(prologue)
        for side in pattern.known:
            self._symmetric.mix_hash(self._own_public("s") if (side == "i") == initiator else self._remote_key("s"))

    @property
    def finished(self) -> bool:
        return not self._messages

    @property
    def hash(self) -> bytes:
        """The transcript hash; when finished, both ends hold the same and nobody else's is equal."""
        return self._symmetric.hash

    @property
    def remote_static(self) -> bytes:
        """The other side's static public key, once its "s" token was read."""
        return self._remote_key("s")

    def write(self, payload: bytes = b"") -> bytes:
        """My next message, with `payload` encrypted as well as the pattern allows at this point."""
        message = b"".join(map(self._write_token, self._messages.pop(0)))
        return message + self._symmetric.encrypt_and_hash(payload)

    def read(self, message: bytes) -> bytes:
        """The payload of the other side's next message."""
        try:
            for token in self._messages.pop(0):
                message = message[self._read_token(token, message) :]
            return self._symmetric.decrypt_and_hash(message)
        except BadRecord as error:
            raise BadHandshake(f"handshake message: {error}") from None

    def split(self, nonce_max: int = NONCE_MAX) -> tuple[CipherState, CipherState]:
        """The ciphers for what I send and what I receive."""
        assert self.finished
        first, second = self._symmetric.split(nonce_max)
        return (first, second) if self._initiator else (second, first)

    def _write_token(self, token: str) -> bytes:
        if token == "e":
            return self._mix_ephemeral(self._own_public("e"))
        if token == "s":
            return self._symmetric.encrypt_and_hash(self._own_public("s"))
        self._mix_secret(token)
        return b""

    def _read_token(self, token: str, message: bytes) -> int:
        """How many bytes of `message` the token took."""
        if token not in ("e", "s"):
            self._mix_secret(token)
            return 0
        size = KEY_BYTES + (TAG_BYTES if token == "s" and self._symmetric.has_key else 0)
        if len(message) < size:
            raise BadHandshake(f"handshake message ends after {len(message)} bytes of a {size}-byte key")
        key = message[:size]
        self._remote[token] = self._mix_ephemeral(key) if token == "e" else self._symmetric.decrypt_and_hash(key)
        return size

    def _mix_ephemeral(self, public: bytes) -> bytes:
        self._symmetric.mix_hash(public)
        if self._has_psk:                                # section 9.2: else a key used with a psk could repeat
            self._symmetric.mix_key(public)
        return public

    def _mix_secret(self, token: str) -> None:
        if token == "psk":
            assert self._psk is not None
            self._symmetric.mix_key_and_hash(self._psk)
            return
        mine, theirs = tuple(token) if self._initiator else tuple(reversed(token))
        self._symmetric.mix_key(dh(self._own_private(mine), self._remote_key(theirs)))

    def _own_private(self, name: str) -> bytes:
        key = self._private[name]
        assert key is not None
        return key

    def _own_public(self, name: str) -> bytes:
        return public_key(self._own_private(name))

    def _remote_key(self, name: str) -> bytes:
        key = self._remote[name]
        assert key is not None
        return key
