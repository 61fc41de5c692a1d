"""Payloads in chunks, chunks in pieces: what is cut comes together again, and nothing else passes."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config import KIB, MIB
from gossipfl.wire.chunks import (
    PIECE_BYTES_MAX,
    BadChunk,
    chunk_bytes_for,
    chunk_count,
    cut,
    parse_piece,
    pieces,
    root_of,
    verify_chunk,
)
from gossipfl.wire.records import FRAME_BODY_MAX

sizes = st.integers(0, 700 * KIB) | st.sampled_from([256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 512 * KIB])


def payload_of(size):
    return cut(random.Random(size).randbytes(size))


def reassembled(payload):
    data = bytearray(payload.size)
    for index in range(chunk_count(payload.size, payload.chunk_bytes)):
        for piece in map(parse_piece, pieces(payload, index)):
            start = piece.chunk * payload.chunk_bytes + piece.offset
            data[start : start + len(piece.data)] = piece.data
    return data


@given(size=sizes)
def test_a_payload_comes_together_again_from_its_pieces(size):
    payload = payload_of(size)
    assert reassembled(payload) == payload.data


@given(size=sizes)
def test_every_chunk_has_its_hash_and_the_root_names_them_all(size):
    payload = payload_of(size)
    hashes = [payload.hashes[at : at + 32] for at in range(0, len(payload.hashes), 32)]
    assert len(hashes) == chunk_count(size, payload.chunk_bytes)
    for index, expected in enumerate(hashes):
        chunk = payload.data[index * payload.chunk_bytes : (index + 1) * payload.chunk_bytes]
        assert verify_chunk(chunk, expected)
        assert not verify_chunk(chunk + b"\0", expected)
    assert payload.root == root_of(size, payload.hashes)


def test_a_full_chunk_fills_its_frames_and_no_frame_is_longer():
    payload = payload_of(9 * MIB)
    bodies = list(pieces(payload, 0))
    assert sum(len(parse_piece(body).data) for body in bodies) == MIB
    assert max(map(len, bodies)) == FRAME_BODY_MAX
    assert len(bodies) == -(-MIB // PIECE_BYTES_MAX)


def test_pieces_are_made_one_at_a_time():
    bodies = pieces(payload_of(9 * MIB), 8)
    first = next(bodies)
    assert parse_piece(first).chunk == 8
    assert parse_piece(first).offset == 0
    assert parse_piece(next(bodies)).offset == PIECE_BYTES_MAX


@pytest.mark.parametrize(("size", "chunk"), [(1, 256 * KIB), (8 * MIB - 1, 256 * KIB), (8 * MIB, MIB), (10**9, MIB)])
def test_chunks_are_larger_where_payloads_are(size, chunk):
    assert chunk_bytes_for(size) == chunk


def test_the_root_binds_the_length():
    assert root_of(1, b"h" * 32) != root_of(2, b"h" * 32)
    assert root_of(1, b"h" * 32) != hashlib.sha256(b"h" * 32).digest()


@pytest.mark.parametrize("size", range(9))
def test_a_piece_that_carries_nothing_is_a_bad_chunk(size):
    with pytest.raises(BadChunk, match=f"{size} bytes"):
        parse_piece(bytes(size))
