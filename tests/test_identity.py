"""Keys, names and signatures."""

import os
import stat
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import ConfigError, PeerError, StateError
from gossipfl.identity import BadKey, BadSignature, Identity, PeerId, verify

# The Ed25519 key pair of "Test vectors" in libp2p/specs, peer-ids/peer-ids.md, in libp2p's protobuf.
LIBP2P_PRIVATE = bytes.fromhex(
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
    "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
)
LIBP2P_PUBLIC = bytes.fromhex("080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
# The Ed25519 peer ID that the same document prints as an example.
LIBP2P_EXAMPLE = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
ALICE, BOB = Identity.from_seed(b"\1" * 32), Identity.from_seed(b"\2" * 32)
seeds = st.binary(min_size=32, max_size=32)


def test_a_published_private_key_gives_the_published_public_key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(LIBP2P_PRIVATE)
    path.chmod(0o600)
    assert b"\x08\x01\x12\x20" + Identity.load(path).peer_id == LIBP2P_PUBLIC


def test_a_published_peer_id_is_read_and_written_alike():
    assert str(PeerId.parse(LIBP2P_EXAMPLE)) == LIBP2P_EXAMPLE


@given(seed=seeds)
def test_a_name_has_52_characters_and_leads_back_to_its_peer(seed):
    peer_id = Identity.from_seed(seed).peer_id
    assert len(str(peer_id)) == 52
    assert str(peer_id).startswith("12D3KooW")
    assert PeerId.parse(str(peer_id)) == peer_id == bytes(peer_id)


@given(text=st.text(max_size=60))
def test_any_other_text_is_the_users_mistake(text):
    with pytest.raises(ConfigError):
        PeerId.parse(text)


@given(at=st.integers(0, 51), character=st.sampled_from("0OIl1z+ é"))
def test_a_mistyped_name_is_refused_or_somebody_elses(at, character):
    name = str(ALICE.peer_id)
    mistyped = name[:at] + character + name[at + 1 :]
    with suppress(ConfigError):
        assert mistyped == name or PeerId.parse(mistyped) != ALICE.peer_id


@pytest.mark.parametrize(
    "name",
    ["QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "", "12D3KooW" + "1" * 44, "1" * 52, LIBP2P_EXAMPLE + " "],
)
def test_other_forms_of_names_are_not_accepted(name):
    with pytest.raises(ConfigError):
        PeerId.parse(name)


@pytest.mark.parametrize(
    "key",
    [b"", bytes(31), bytes(33), bytes(32), b"\1" + bytes(31), b"\xff" * 32, b"\xec" + b"\xff" * 30 + b"\x7f"],
    ids=["none", "short", "long", "order 4", "order 1", "beyond the field", "order 2"],
)
def test_keys_that_nobody_can_own_are_refused(key):
    with pytest.raises(BadKey):
        PeerId(key)


@given(message=st.binary(max_size=100))
def test_a_signature_holds_for_its_message_and_signer_only(message):
    signature = ALICE.sign(message)
    verify(ALICE.peer_id, message, signature)
    for signer, text, mark in (
        (BOB.peer_id, message, signature),
        (ALICE.peer_id, message + b"\0", signature),
        (ALICE.peer_id, message, signature[:-1]),
        (ALICE.peer_id, message, bytes(64)),
    ):
        with pytest.raises(BadSignature):
            verify(signer, text, mark)


@given(message=st.binary(max_size=40), signature=st.binary(max_size=80))
def test_arbitrary_signatures_raise_only_peer_errors(message, signature):
    with pytest.raises(PeerError):
        verify(ALICE.peer_id, message, signature)


def test_a_saved_key_is_its_owners_alone_and_comes_back(tmp_path):
    path = tmp_path / "new folder" / "identity.key"
    identity = Identity.generate()
    identity.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Identity.load(path) == identity


def test_a_saved_key_is_private_under_any_umask(tmp_path):
    before = os.umask(0)
    try:
        ALICE.save(tmp_path / "key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_no_key_is_ever_overwritten(tmp_path):
    ALICE.save(tmp_path / "key")
    with pytest.raises(StateError, match="no key is overwritten"):
        BOB.save(tmp_path / "key")
    assert Identity.load(tmp_path / "key") == ALICE


def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path):
    ALICE.save(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(StateError, match=r"mode 0640.*chmod 600"):
        Identity.load(tmp_path / "key")


@pytest.mark.parametrize(
    "damage",
    [lambda raw: b"", lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: raw[:4] + bytes(32) + raw[36:],
     lambda raw: b"\x08\x00" + raw[2:]],
    ids=["empty", "short", "long", "another seed", "another type"],
)  # fmt: skip
def test_a_damaged_key_file_is_refused(tmp_path, damage):
    path = tmp_path / "key"
    ALICE.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StateError, match="not a key file"):
        Identity.load(path)


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(StateError, match="no-such-key"):
        Identity.load(tmp_path / "no-such-key")


def test_secrets_stay_out_of_what_is_printed():
    shown = repr(ALICE) + str(ALICE) + f"{ALICE.peer_id} {ALICE.peer_id!r} {ALICE.peer_id.short}"
    assert ALICE.seed.hex() not in shown
    assert repr(ALICE.seed) not in shown


def test_a_peer_is_short_in_logs():
    assert ALICE.peer_id.short == ALICE.peer_id.hex()[:8]
    assert repr(ALICE.peer_id) == f"PeerId({ALICE.peer_id.short})"
    assert f"{ALICE.peer_id}" == str(ALICE.peer_id)
