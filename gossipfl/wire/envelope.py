"""Signed bytes that may travel through third hands: manifests and peer records.

An envelope is ``signer (32) | signature (64) | payload``.  What is signed is the payload under a domain, each with its
length in front (after libp2p RFC 0002), so a signature made for one purpose says nothing for another.  The exact bytes
are kept and passed on; nothing is ever re-encoded to be verified.
"""

from __future__ import annotations

from typing import NamedTuple

from gossipfl.errors import PeerError
from gossipfl.identity import SIGNATURE_BYTES, Identity, PeerId, verify

MANIFEST = b"gossipfl/1/manifest"
PEER_RECORD = b"gossipfl/1/peer"
HEADER_BYTES = 32 + SIGNATURE_BYTES


class BadEnvelope(PeerError):
    """Too short to hold a signer, a signature and a payload, or longer than allowed."""


class Opened(NamedTuple):
    """A payload whose signature holds."""

    signer: PeerId
    payload: bytes


def seal(identity: Identity, domain: bytes, payload: bytes) -> bytes:
    """`payload` in an envelope signed by `identity` for `domain`."""
    return bytes(identity.peer_id) + identity.sign(_signed_bytes(domain, payload)) + payload


def open_(domain: bytes, envelope: bytes, bytes_max: int) -> Opened:
    """The signer and payload of `envelope`.  Raises BadEnvelope, BadKey or BadSignature before reading inside."""
    if not HEADER_BYTES < len(envelope) <= bytes_max:
        raise BadEnvelope(f"an envelope of {len(envelope)} bytes; allowed are {HEADER_BYTES + 1} to {bytes_max}")
    signer, signature, payload = PeerId(envelope[:32]), envelope[32:HEADER_BYTES], envelope[HEADER_BYTES:]
    verify(signer, _signed_bytes(domain, payload), signature)
    return Opened(signer, payload)


def _signed_bytes(domain: bytes, payload: bytes) -> bytes:
    return uvarint(len(domain)) + domain + uvarint(len(payload)) + payload


def uvarint(number: int) -> bytes:
    """Unsigned LEB128, as in multiformats."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
