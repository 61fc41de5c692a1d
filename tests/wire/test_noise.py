"""Noise against its public vectors, against an independent implementation, and at its bounds."""

import pytest
from dissononce.cipher.aesgcm import AESGCMCipher
from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.x25519.private import PrivateKey
from dissononce.dh.x25519.x25519 import X25519DH
from dissononce.hash.sha256 import SHA256Hash
from dissononce.processing.handshakepatterns.interactive.XX import XXHandshakePattern
from dissononce.processing.impl import cipherstate, handshakestate, symmetricstate
from dissononce.processing.modifiers.psk import PSKPatternModifier
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import LinkError, PeerError
from gossipfl.wire.ciphers import AESGCM, CHACHAPOLY, BadRecord, CipherSpent, CipherState, available_suites
from gossipfl.wire.noise import PATTERNS, BadHandshake, HandshakeState, public_key

SUITES = {suite.name: suite for suite in (CHACHAPOLY, AESGCM)}
needs_aes = pytest.mark.skipif(AESGCM not in available_suites(), reason="this processor has no AES instructions")
each_suite = pytest.mark.parametrize("suite", [CHACHAPOLY, pytest.param(AESGCM, marks=needs_aes)], ids=lambda s: s.name)


def pair(suite=CHACHAPOLY, pattern="XX", psks=(None, None), prologues=(b"p", b"p")):
    return tuple(
        HandshakeState(
            PATTERNS[pattern], suite, initiator=initiator, prologue=prologue,
            ephemeral=bytes([number] * 32), static=bytes([number + 10] * 32), psk=psk,
        )
        for number, (initiator, psk, prologue) in enumerate(zip((True, False), psks, prologues, strict=True), start=1)
    )  # fmt: skip


def shake(initiator, responder):
    writer, reader = initiator, responder
    while not writer.finished:
        assert reader.read(writer.write(b"payload")) == b"payload"
        writer, reader = reader, writer


@needs_aes
def test_every_published_vector_is_reproduced_byte_for_byte(vectors):
    ran = [replay(vector) for vector in vectors("noise.json")["vectors"]]
    assert len(ran) >= 12
    assert {"Noise_XX_25519_ChaChaPoly_SHA256", "Noise_XX_25519_AESGCM_SHA256"} <= set(ran)


def replay(vector):
    initiator, responder = side(vector, "init"), side(vector, "resp")
    ciphers = None
    for number, message in enumerate(vector["messages"]):
        writer, reader = (initiator, responder) if number % 2 == 0 else (responder, initiator)
        payload, ciphertext = bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"])
        if ciphers:
            assert ciphers[writer][0].seal(payload) == ciphertext
            assert ciphers[reader][1].open(ciphertext) == payload
        else:
            assert writer.write(payload) == ciphertext
            assert reader.read(ciphertext) == payload
        if writer.finished and not ciphers:
            assert initiator.hash.hex() == responder.hash.hex() == vector["handshake_hash"]
            ciphers = {initiator: initiator.split(), responder: responder.split()}
    return vector["protocol_name"]


def side(vector, name):
    _, pattern, _, cipher, _ = vector["protocol_name"].split("_")
    given_keys = [key for key in ("static", "remote_static") if f"{name}_{key}" in vector]
    keys = {key: bytes.fromhex(vector[f"{name}_{key}"]) for key in given_keys}
    psks = [bytes.fromhex(psk) for psk in vector.get(f"{name}_psks", ())]
    return HandshakeState(
        PATTERNS[pattern], SUITES[cipher], initiator=name == "init",
        prologue=bytes.fromhex(vector[f"{name}_prologue"]), ephemeral=bytes.fromhex(vector[f"{name}_ephemeral"]),
        psk=psks[0] if psks else None, **keys,
    )  # fmt: skip


@each_suite
@pytest.mark.parametrize("we_initiate", [True, False])
def test_xxpsk0_talks_to_an_independent_implementation(suite, we_initiate):
    psk, prologue = b"k" * 32, b"prologue"
    ours = HandshakeState(
        PATTERNS["XXpsk0"], suite, initiator=we_initiate, prologue=prologue,
        ephemeral=b"e" * 32, static=b"s" * 32, psk=psk,
    )  # fmt: skip
    theirs, split = dissononce_side(suite, initiator=not we_initiate, prologue=prologue, psk=psk)
    for number in range(3):
        if (number % 2 == 0) == we_initiate:
            received = bytearray()
            split += theirs.read_message(ours.write(b"from us"), received) or ()
            assert received == b"from us"
        else:
            sent = bytearray()
            split += theirs.write_message(b"from them", sent) or ()
            assert ours.read(bytes(sent)) == b"from them"
    sealer, opener = ours.split()
    first, second = split
    their_opener, their_sealer = (first, second) if we_initiate else (second, first)
    assert their_opener.decrypt_with_ad(b"", sealer.seal(b"hello")) == b"hello"
    assert opener.open(their_sealer.encrypt_with_ad(b"", b"hello back")) == b"hello back"


def dissononce_side(suite, *, initiator, prologue, psk):
    cipher = {"ChaChaPoly": ChaChaPolyCipher, "AESGCM": AESGCMCipher}[suite.name]
    symmetric = symmetricstate.SymmetricState(cipherstate.CipherState(cipher()), SHA256Hash())
    state = handshakestate.HandshakeState(symmetric, X25519DH())
    static = X25519DH().generate_keypair(PrivateKey(b"t" * 32))
    pattern = PSKPatternModifier(0).modify(XXHandshakePattern())
    state.initialize(pattern, initiator, prologue, s=static, psks=(psk,))
    return state, ()


@each_suite
def test_both_ends_hold_the_same_hash_and_mirrored_ciphers(suite):
    initiator, responder = pair(suite)
    shake(initiator, responder)
    assert initiator.hash == responder.hash
    assert initiator.remote_static == public_key(bytes([12] * 32))
    (seal, open_), (seal_back, open_back) = initiator.split(), responder.split()
    for number in range(3):
        assert open_back.open(seal.seal(b"%d" % number)) == b"%d" % number
        assert open_.open(seal_back.seal(b"%d" % number)) == b"%d" % number


def test_wrong_psk_fails_at_the_first_message():
    initiator, responder = pair(pattern="XXpsk0", psks=(b"a" * 32, b"b" * 32))
    with pytest.raises(BadHandshake, match="fails its tag"):
        responder.read(initiator.write())


def test_other_prologue_fails_at_the_first_encrypted_message():
    initiator, responder = pair(prologues=(b"one", b"other"))
    responder.read(initiator.write())
    with pytest.raises(BadHandshake, match="fails its tag"):
        initiator.read(responder.write())


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_keys_that_force_a_zero_secret_are_refused(point):
    initiator, responder = pair()
    initiator.write()
    responder.read(point)
    with pytest.raises(BadHandshake, match="zeros"):
        responder.write()


@each_suite
def test_cipher_stops_at_its_bound_in_both_directions(suite):
    sealer, opener = CipherState(suite, b"k" * 32, nonce_max=2), CipherState(suite, b"k" * 32, nonce_max=3)
    records = [sealer.seal(b"x") for _ in range(2)]
    with pytest.raises(CipherSpent, match="2 records") as spent:
        sealer.seal(b"x")
    assert isinstance(spent.value, LinkError)
    longer = CipherState(suite, b"k" * 32, nonce_max=9)
    records = [longer.seal(b"x") for _ in range(4)]
    assert [opener.open(record) for record in records[:3]] == [b"x"] * 3
    with pytest.raises(BadRecord, match="more than 3"):
        opener.open(records[3])


@each_suite
def test_split_hands_the_bound_on(suite):
    initiator, responder = pair(suite)
    shake(initiator, responder)
    sealer, _ = initiator.split(nonce_max=1)
    sealer.seal(b"")
    with pytest.raises(CipherSpent):
        sealer.seal(b"")


@each_suite
@given(plaintext=st.binary(max_size=300), damage=st.integers(0, 2**16), flip=st.integers(1, 255))
def test_an_altered_byte_is_refused_and_nothing_is_lost_by_it(suite, plaintext, damage, flip):
    sealer, opener = CipherState(suite, b"k" * 32), CipherState(suite, b"k" * 32)
    record = sealer.seal(plaintext, b"associated")
    altered = bytearray(record)
    altered[damage % len(record)] ^= flip
    with pytest.raises(BadRecord):
        opener.open(bytes(altered), b"associated")
    assert opener.open(record, b"associated") == plaintext


@each_suite
@pytest.mark.parametrize("size", range(17))
def test_ciphertexts_shorter_than_a_tag_are_a_peers_error(suite, size):
    with pytest.raises(PeerError):
        CipherState(suite, b"k" * 32).open(bytes(size))


@each_suite
def test_records_out_of_order_are_refused(suite):
    sealer, opener = CipherState(suite, b"k" * 32), CipherState(suite, b"k" * 32)
    sealer.seal(b"first")
    with pytest.raises(BadRecord):
        opener.open(sealer.seal(b"second"))


@given(message=st.binary(max_size=200), step=st.integers(0, 2))
def test_arbitrary_bytes_in_place_of_a_message_are_a_bad_handshake(message, step):
    sides = pair(pattern="XXpsk0", psks=(b"k" * 32, b"k" * 32))
    for number in range(step):
        sides[1 - number % 2].read(sides[number % 2].write())
    with pytest.raises(BadHandshake):
        sides[1 - step % 2].read(message)


def test_without_a_key_a_cipher_is_the_identity():
    assert CipherState(CHACHAPOLY).seal(b"open") == CipherState(CHACHAPOLY).open(b"open") == b"open"
