"""The handshake machines: honest ends find each other, and any altered byte is refused by the end that can see it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.identity import Identity
from gossipfl.wire.ciphers import AESGCM, CHACHAPOLY, available_suites
from gossipfl.wire.handshake import (
    HANDSHAKE_BYTES_MAX,
    PREAMBLE_BYTES,
    Credentials,
    Dialer,
    Listener,
    UnknownSuite,
    WrongPeer,
    decode_payload,
    encode_payload,
)
from gossipfl.wire.noise import BadHandshake, public_key

ALICE, BOB, CAROL = (Identity.from_seed(bytes([number] * 32)) for number in (1, 2, 3))
FINGERPRINT = b"f" * 32
PSK = b"k" * 32
BOTH = pytest.mark.parametrize("psk", [None, PSK], ids=["open", "closed"])


def credentials(identity, psk=PSK, fingerprint=FINGERPRINT):
    return Credentials(identity, fingerprint, psk, static=identity.seed[::-1])


def dialer(psk=PSK, expected=BOB.peer_id, suite=CHACHAPOLY, **terms):
    return Dialer(credentials(ALICE, psk, **terms), suite, b"d" * 32, expected)


def listener(psk=PSK, suites=(CHACHAPOLY,), **terms):
    return Listener(credentials(BOB, psk, **terms), suites, b"l" * 32)


def messages(psk):
    """The three turns of an honest handshake, as the dialer and the listener send them."""
    one, other = dialer(psk), listener(psk)
    first = one.open()
    second = other.feed(first)
    return [first, second, one.feed(second)]


@BOTH
@pytest.mark.parametrize("suite", available_suites(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("expected", [None, BOB.peer_id], ids=["whoever", "expected"])
def test_both_ends_prove_themselves_and_share_a_channel(psk, suite, expected):
    one, other = dialer(psk, expected, suite), listener(psk, available_suites())
    assert other.feed(one.feed(other.feed(one.open()))) == b""
    assert one.channel.peer_id == BOB.peer_id
    assert other.channel.peer_id == ALICE.peer_id
    assert other.channel.opener.open(one.channel.sealer.seal(b"there")) == b"there"
    assert one.channel.opener.open(other.channel.sealer.seal(b"back")) == b"back"


@BOTH
@given(cuts=st.lists(st.integers(0, 230), max_size=6), tail=st.binary(max_size=40))
def test_any_split_of_the_stream_gives_the_same_handshake_and_keeps_what_follows(psk, cuts, tail):
    one, other = dialer(psk), listener(psk)
    _, second, third = messages(psk)
    assert feed_in_parts(other, one.open(), cuts) == second
    assert feed_in_parts(one, second, cuts, tail) == third
    assert feed_in_parts(other, third, cuts, tail) == b""
    assert one.channel.rest == other.channel.rest == tail


def feed_in_parts(machine, data, cuts, tail=b""):
    """`data` cut at `cuts`, what follows it in one piece with its last byte."""
    edges = [0, *sorted({min(cut, len(data) - 1) for cut in cuts}), len(data) + len(tail)]
    return b"".join(machine.feed((data + tail)[start:end]) for start, end in itertools.pairwise(edges))


@BOTH
def test_an_altered_byte_anywhere_in_message_1_ends_the_handshake(psk):
    first, _, _ = messages(psk)
    for at in range(len(first)):
        one, other = dialer(psk), listener(psk)
        one.open()
        with pytest.raises(BadHandshake):
            # Without a psk message 1 has no tag, so there it is the dialer who sees that the listener read another.
            one.feed(completed(other, altered(first, at)))
        assert one.channel is None
        assert other.channel is None


def completed(machine, data):
    """What `machine` answers; a length altered upwards waits for more, which an attacker may as well send."""
    answer = machine.feed(data)
    while not answer:
        answer = machine.feed(b"\0")
    return answer


@BOTH
def test_an_altered_byte_anywhere_in_message_2_is_refused_by_the_dialer(psk):
    _, second, _ = messages(psk)
    for at in range(len(second)):
        one = dialer(psk)
        one.open()
        with pytest.raises(BadHandshake):
            completed(one, altered(second, at))
        assert one.channel is None


@BOTH
def test_an_altered_byte_anywhere_in_message_3_is_refused_by_the_listener(psk):
    first, _, third = messages(psk)
    for at in range(len(third)):
        other = listener(psk)
        other.feed(first)
        with pytest.raises(BadHandshake):
            completed(other, altered(third, at))
        assert other.channel is None


def altered(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_stranger_without_the_key_fails_at_message_1_and_learns_nothing():
    other = listener(PSK)
    with pytest.raises(BadHandshake, match="fails its tag"):
        other.feed(dialer(b"x" * 32).open())
    with pytest.raises(BadHandshake):
        listener(PSK).feed(dialer(None).open())


def test_another_federation_with_the_same_key_fails_at_message_1():
    with pytest.raises(BadHandshake, match="fails its tag"):
        listener(PSK).feed(dialer(PSK, fingerprint=b"g" * 32).open())


def test_another_open_federation_is_noticed_by_the_dialer_before_it_names_itself():
    one, other = dialer(None), listener(None, fingerprint=b"g" * 32)
    with pytest.raises(BadHandshake, match="fails its tag"):
        one.feed(other.feed(one.open()))


def test_the_dialer_sends_nothing_to_a_peer_that_it_did_not_expect():
    one, other = dialer(expected=CAROL.peer_id), listener()
    with pytest.raises(WrongPeer, match=str(CAROL.peer_id)):
        one.feed(other.feed(one.open()))
    assert one.channel is None


@pytest.mark.parametrize(
    ("preamble", "reason"),
    [(b"GE\1\1", "47450101"), (b"gf\2\1", "wire version 2"), (b"gf\0\1", "wire version 0")],
)
def test_other_programs_and_other_versions_are_refused_by_name(preamble, reason):
    with pytest.raises(BadHandshake, match=reason):
        listener().feed(preamble)


def test_a_suite_that_is_not_offered_is_told_apart_from_other_failures():
    with pytest.raises(UnknownSuite, match="suite 2"):
        listener(suites=(CHACHAPOLY,)).feed(b"gf\1" + bytes([AESGCM.code]))


@pytest.mark.skipif(AESGCM not in available_suites(), reason="this processor has no AES instructions")
def test_a_suite_altered_on_the_way_fails_the_first_tag():
    first = dialer(suite=AESGCM).open()
    with pytest.raises(BadHandshake, match="fails its tag"):
        listener(suites=available_suites()).feed(first[:3] + bytes([CHACHAPOLY.code]) + first[4:])


@pytest.mark.parametrize("announced", [HANDSHAKE_BYTES_MAX - PREAMBLE_BYTES - 1, 65535])
def test_a_message_longer_than_a_handshake_may_be_is_refused_when_announced(announced):
    with pytest.raises(BadHandshake, match="more than 512 bytes"):
        listener().feed(b"gf\1\1" + announced.to_bytes(2, "big"))


def test_the_longest_handshake_is_not_refused_for_its_length():
    announced = HANDSHAKE_BYTES_MAX - PREAMBLE_BYTES - 2
    assert listener().feed(b"gf\1\1" + announced.to_bytes(2, "big")) == b""


def test_the_dialer_bounds_the_listener_alike():
    one = dialer()
    one.open()
    with pytest.raises(BadHandshake, match="more than 512 bytes"):
        one.feed((HANDSHAKE_BYTES_MAX - 1).to_bytes(2, "big"))


def test_an_identity_for_another_channel_is_refused():
    stolen = encode_payload(BOB, public_key(b"o" * 32))
    with pytest.raises(BadHandshake, match="proves no identity"):
        decode_payload(stolen, public_key(b"n" * 32))


def test_payload_is_that_of_libp2p_noise():
    static = public_key(b"s" * 32)
    signature = BOB.sign(b"noise-libp2p-static-key:" + static)
    assert encode_payload(BOB, static) == b"\x0a\x24\x08\x01\x12\x20" + BOB.peer_id + b"\x12\x40" + signature
    assert decode_payload(encode_payload(BOB, static), static) == BOB.peer_id


def test_fields_of_later_versions_are_ignored_in_any_place():
    static = public_key(b"s" * 32)
    payload = encode_payload(BOB, static)
    extensions = b"\x22\x03abc"
    assert decode_payload(payload + extensions, static) == BOB.peer_id
    assert decode_payload(extensions + payload[38:] + payload[:38], static) == BOB.peer_id


@pytest.mark.parametrize(
    "damage",
    [
        lambda p: b"",
        lambda p: p[:-1],
        lambda p: p + p[:38],
        lambda p: p + b"\x22",
        lambda p: p + b"\x22\x05abc",
        lambda p: p + b"\x18\x01",
        lambda p: p + b"\xff\xff\xff\xff\x0f\x00",
        lambda p: p[:38],
        lambda p: p[38:],
        lambda p: p.replace(b"\x08\x01\x12\x20", b"\x08\x02\x12\x20"),
        lambda p: b"\x0a\x24\x08\x01\x12\x20" + bytes(32) + p[38:],
        lambda p: b"\x0a\x25\x08\x01\x12\x20" + p[6:38] + b"\0" + p[38:],
    ],
    ids=[
        "empty", "truncated", "duplicate field", "tag without length", "length beyond the end", "number field",
        "endless number", "no signature", "no key", "another key type", "low-order key", "long key",
    ],
)  # fmt: skip
def test_malformed_payloads_are_bad_handshakes(damage):
    static = public_key(b"s" * 32)
    with pytest.raises(BadHandshake):
        decode_payload(damage(encode_payload(BOB, static)), static)


@given(payload=st.binary(max_size=150))
def test_arbitrary_payloads_are_bad_handshakes_and_nothing_else(payload):
    with pytest.raises(BadHandshake):
        decode_payload(payload, public_key(b"s" * 32))


@BOTH
@given(data=st.lists(st.binary(max_size=300), max_size=5), stage=st.integers(0, 1), as_dialer=st.booleans())
def test_arbitrary_streams_end_in_a_bad_handshake_or_wait_within_the_bound(psk, data, stage, as_dialer):
    first, _, _ = messages(psk)
    machine = dialer(psk) if as_dialer else listener(psk)
    if not as_dialer and stage:
        machine.feed(first)
    try:
        for part in data:
            machine.feed(part)
    except BadHandshake:
        pass
    assert machine.channel is None
