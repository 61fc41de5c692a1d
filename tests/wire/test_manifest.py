"""Signed documents: what was signed is what is read, and the hashes must give the signed root."""

from contextlib import suppress

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_samples import ALICE, MANIFEST, RECORD

from gossipfl.errors import PeerError
from gossipfl.wire import chunks, envelope
from gossipfl.wire.manifest import (
    MANIFEST_BYTES_MAX,
    check_hashes,
    genesis_state,
    next_state,
    open_manifest,
    open_record,
    sign_manifest,
    sign_record,
    vector_spec,
)
from gossipfl.wire.messages import BadMessage

LIMIT = 4096


def changed(document, **fields):
    return msgspec.structs.replace(document, **fields)


@given(round_=st.integers(0, 2**63 - 1), kind=st.sampled_from(["delta", "snapshot"]), codec=st.text(max_size=256))
def test_a_manifest_comes_back_as_it_was_signed(round_, kind, codec):
    manifest = changed(MANIFEST, round=round_, kind=kind, codec=codec)
    signed = sign_manifest(ALICE, manifest)
    assert open_manifest(signed.envelope) == signed
    assert len(signed.envelope) <= MANIFEST_BYTES_MAX


def test_a_record_comes_back_as_it_was_signed():
    signed = sign_record(ALICE, RECORD)
    assert open_record(signed.envelope, LIMIT) == signed


def test_a_manifest_is_no_record_and_a_record_no_manifest():
    with pytest.raises(PeerError):
        open_record(sign_manifest(ALICE, MANIFEST).envelope, LIMIT)
    with pytest.raises(PeerError):
        open_manifest(sign_record(ALICE, RECORD).envelope)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "nonsense"}, {"kind": "delta\n"}, {"round": -1}, {"sequence": 2**63}, {"root": b"r" * 31},
        {"federation": b"f" * 33}, {"codec": "x" * 257}, {"size": 1.0}, {"degree": None}, {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_signature_does_not_excuse_a_field_that_is_wrong(fields):
    tables = msgspec.to_builtins(MANIFEST, builtin_types=(bytes,)) | fields
    with pytest.raises(BadMessage):
        open_manifest(envelope.seal(ALICE, envelope.MANIFEST, msgpack.packb(tables)))


def test_a_field_that_is_missing_is_not_guessed():
    tables = msgspec.to_builtins(MANIFEST, builtin_types=(bytes,))
    for field in tables:
        rest = {name: value for name, value in tables.items() if name != field}
        with pytest.raises(BadMessage, match=field):
            open_manifest(envelope.seal(ALICE, envelope.MANIFEST, msgpack.packb(rest)))


@given(payload=st.binary(min_size=1, max_size=200))
def test_signed_nonsense_raises_only_peer_errors(payload):
    with suppress(PeerError):
        assert open_manifest(envelope.seal(ALICE, envelope.MANIFEST, payload)) is None
    with suppress(PeerError):
        assert open_record(envelope.seal(ALICE, envelope.PEER_RECORD, payload), LIMIT) is None


def test_more_addresses_or_neighbors_than_allowed_are_refused():
    for fields in ({"addresses": ("a:1",) * 17}, {"neighbors": (b"k" * 32,) * 65}):
        with pytest.raises(BadMessage):
            open_record(sign_record(ALICE, changed(RECORD, **fields)).envelope, LIMIT)


@given(data=st.binary(min_size=1, max_size=2000))
def test_the_hashes_of_a_payload_pass_and_any_other_do_not(data):
    payload = chunks.cut(data)
    manifest = changed(MANIFEST, size=payload.size, root=payload.root)
    check_hashes(manifest, payload.hashes)
    for other in (payload.hashes + b"h" * 32, payload.hashes[:-1], b"", bytes(len(payload.hashes))):
        with pytest.raises(BadMessage):
            check_hashes(manifest, other)
    with pytest.raises(BadMessage):
        check_hashes(changed(manifest, size=payload.size + 1), payload.hashes)


def test_an_empty_payload_is_not_announced():
    with pytest.raises(BadMessage, match="payload of 0"):
        check_hashes(changed(MANIFEST, size=0, root=chunks.root_of(0, b"")), b"")


def test_the_names_of_states_and_vectors_depend_on_everything_that_they_name():
    names = [
        genesis_state(b"t" * 32), genesis_state(b"u" * 32), next_state(b"t" * 32, b"r" * 32),
        next_state(b"r" * 32, b"t" * 32), vector_spec(b"t" * 32, 10), vector_spec(b"t" * 32, 11),
        vector_spec(b"u" * 32, 10),
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    assert all(len(name) == 32 for name in names)
