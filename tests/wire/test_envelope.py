"""A signature says one thing, by one signer, for one purpose."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.errors import PeerError
from gossipfl.identity import BadKey, BadSignature, Identity
from gossipfl.wire import envelope
from gossipfl.wire.envelope import HEADER_BYTES, MANIFEST, PEER_RECORD, BadEnvelope

ALICE, BOB = Identity.from_seed(b"\1" * 32), Identity.from_seed(b"\2" * 32)


@given(payload=st.binary(min_size=1, max_size=500))
def test_a_sealed_payload_opens_to_itself_and_its_signer(payload):
    sealed = envelope.seal(ALICE, MANIFEST, payload)
    assert envelope.open_(MANIFEST, sealed, len(sealed)) == (ALICE.peer_id, payload)


@settings(max_examples=30)
@given(payload=st.binary(min_size=1, max_size=60), flip=st.integers(1, 255))
def test_any_altered_byte_is_refused(payload, flip):
    sealed = envelope.seal(ALICE, MANIFEST, payload)
    for at in range(len(sealed)):
        altered = sealed[:at] + bytes([sealed[at] ^ flip]) + sealed[at + 1 :]
        with pytest.raises((BadKey, BadSignature)):
            envelope.open_(MANIFEST, altered, 4096)


def test_a_signature_for_one_purpose_is_none_for_another():
    sealed = envelope.seal(ALICE, MANIFEST, b"payload")
    with pytest.raises(BadSignature):
        envelope.open_(PEER_RECORD, sealed, 4096)


def test_a_signature_is_not_another_signers():
    sealed = envelope.seal(ALICE, MANIFEST, b"payload")
    with pytest.raises(BadSignature):
        envelope.open_(MANIFEST, bytes(BOB.peer_id) + sealed[32:], 4096)


def test_bytes_cannot_move_between_domain_and_payload():
    sealed = envelope.seal(ALICE, b"ab", b"c")
    with pytest.raises(BadSignature):
        envelope.open_(b"a", sealed[:HEADER_BYTES] + b"bc", 4096)


@pytest.mark.parametrize("size", [0, 1, 31, 32, HEADER_BYTES - 1, HEADER_BYTES])
def test_envelopes_without_room_for_a_payload_are_refused(size):
    with pytest.raises(BadEnvelope, match=f"of {size} bytes"):
        envelope.open_(MANIFEST, bytes(size), 4096)


def test_an_envelope_of_the_limit_opens_and_one_byte_more_does_not():
    sealed = envelope.seal(ALICE, MANIFEST, b"payload")
    assert envelope.open_(MANIFEST, sealed, len(sealed)).payload == b"payload"
    with pytest.raises(BadEnvelope, match=f"to {len(sealed) - 1}"):
        envelope.open_(MANIFEST, sealed, len(sealed) - 1)


@given(noise=st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_peer_errors(noise):
    with pytest.raises(PeerError):
        envelope.open_(MANIFEST, noise, 4096)


@given(number=st.integers(0, 2**63))
def test_lengths_are_unsigned_leb128(number):
    encoded = envelope.uvarint(number)
    assert sum((byte & 0x7F) << 7 * at for at, byte in enumerate(encoded)) == number
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80
