"""The two ciphers of the wire, and a key that counts its uses.

ChaCha20-Poly1305 works everywhere; AES-256-GCM, where the processor has it built in, two to three times as fast.  Both
are libsodium's.  Which keys they get is wire/noise.py's matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import nacl.bindings
import nacl.exceptions

from gossipfl.errors import LinkError, PeerError

KEY_BYTES = 32
TAG_BYTES = 16
# Noise allows 2**64 - 1.  After 2**32 records of 64 KiB, which is 2**44 blocks, the birthday term of AES-GCM is about
# 2**-41; and a link that has carried 256 TiB can afford to be dialed again.
NONCE_MAX = 2**32


class BadRecord(PeerError):
    """A ciphertext that the holder of the other end's key did not make for this place in the stream."""


class CipherSpent(LinkError):
    """This end has sealed as many records as one key may; the link has to be dialed anew."""


class Suite(NamedTuple):
    """A cipher as Noise names it, and as one byte of the preamble names it."""

    name: str
    code: int
    nonce_order: Literal["little", "big"]
    encrypt: Callable[[bytes, bytes, bytes, bytes], bytes]
    decrypt: Callable[[bytes, bytes, bytes, bytes], bytes]


CHACHAPOLY = Suite(
    "ChaChaPoly", 1, "little",
    nacl.bindings.crypto_aead_chacha20poly1305_ietf_encrypt, nacl.bindings.crypto_aead_chacha20poly1305_ietf_decrypt,
)  # fmt: skip
AESGCM = Suite(
    "AESGCM", 2, "big", nacl.bindings.crypto_aead_aes256gcm_encrypt, nacl.bindings.crypto_aead_aes256gcm_decrypt
)


def available_suites() -> tuple[Suite, ...]:
    """What this processor can do, fastest first: AES-256-GCM only where it is built in."""
    try:
        AESGCM.encrypt(b"", b"", bytes(12), bytes(KEY_BYTES))
    except nacl.exceptions.UnavailableError:
        return (CHACHAPOLY,)
    return AESGCM, CHACHAPOLY


class CipherState:
    """A key and the number of times it was used.  Without a key, the identity."""

    __slots__ = ("_key", "_nonce", "_nonce_max", "_suite")

    def __init__(self, suite: Suite, key: bytes | None = None, nonce_max: int = NONCE_MAX) -> None:
        self._suite, self._key, self._nonce, self._nonce_max = suite, key, 0, nonce_max

    @property
    def has_key(self) -> bool:
        return self._key is not None

    def seal(self, plaintext: bytes, associated: bytes = b"") -> bytes:
        """Encrypt.  Raises CipherSpent at the bound."""
        if self._key is None:
            return plaintext
        if self._nonce >= self._nonce_max:
            raise CipherSpent(f"{self._nonce} records were sealed with one key; dial again")
        sealed = self._suite.encrypt(plaintext, associated, self._nonce_bytes(), self._key)
        self._nonce += 1
        return sealed

    def open(self, ciphertext: bytes, associated: bytes = b"") -> bytes:
        """Decrypt.  Raises BadRecord for anything that `seal` at the other end did not make, in this order."""
        if self._key is None:
            return ciphertext
        if len(ciphertext) < TAG_BYTES:                  # PyNaCl would ask for a negative length
            raise BadRecord(f"a ciphertext of {len(ciphertext)} bytes is shorter than its tag")
        if self._nonce >= self._nonce_max:
            raise BadRecord(f"more than {self._nonce_max} records under one key")
        try:
            plaintext = self._suite.decrypt(ciphertext, associated, self._nonce_bytes(), self._key)
        except nacl.exceptions.CryptoError:
            raise BadRecord(f"record {self._nonce} of {len(ciphertext)} bytes fails its tag") from None
        self._nonce += 1
        return plaintext

    def _nonce_bytes(self) -> bytes:
        return b"\0\0\0\0" + self._nonce.to_bytes(8, self._suite.nonce_order)
