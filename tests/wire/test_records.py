"""Records and frames: any split of the stream gives the same records, and any frame survives its way."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.wire.ciphers import TAG_BYTES
from gossipfl.wire.records import (
    FRAME_BODY_MAX,
    RECORD_BYTES_MAX,
    RECORD_OVERHEAD_BYTES,
    BadFrame,
    Frame,
    RecordReader,
    pack_frame,
    pack_record,
    parse_frame,
)

frames = st.builds(
    Frame, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=64)
)
ciphertexts = st.one_of(st.binary(max_size=40), st.integers(0, RECORD_BYTES_MAX).map(bytes))


@given(records=st.lists(ciphertexts, max_size=6), cuts=st.lists(st.integers(0, 2**18), max_size=12))
def test_any_split_of_the_stream_gives_the_same_records(records, cuts):
    stream = b"".join(map(pack_record, records))
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    reader = RecordReader()
    read = [record for start, end in itertools.pairwise(edges) for record in reader.feed(stream[start:end])]
    assert read == records


@given(records=st.lists(st.binary(max_size=40), max_size=6))
def test_one_byte_at_a_time_is_a_split_like_any_other(records):
    reader = RecordReader()
    stream = b"".join(map(pack_record, records))
    assert [record for byte in stream for record in reader.feed(bytes([byte]))] == records


def test_records_are_copies_so_the_buffer_may_be_filled_again():
    buffer = bytearray(pack_record(b"first") + pack_record(b"second")[:4])
    reader = RecordReader()
    (first,) = reader.feed(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert first == b"first"
    assert list(reader.feed(pack_record(b"second")[4:])) == [b"second"]


def test_the_reader_keeps_less_than_one_record():
    reader = RecordReader()
    longest = pack_record(bytes(RECORD_BYTES_MAX))
    assert list(reader.feed(longest[:-1])) == []
    assert list(reader.feed(longest[-1:] + longest[:-1])) == [bytes(RECORD_BYTES_MAX)]
    assert list(reader.feed(longest[-1:])) == [bytes(RECORD_BYTES_MAX)]


@given(frame=frames)
def test_a_frame_comes_back_as_it_was(frame):
    assert parse_frame(pack_frame(frame)) == frame


@pytest.mark.parametrize("size", range(6))
def test_a_record_too_short_for_a_header_is_a_bad_frame(size):
    with pytest.raises(BadFrame, match=f"{size} bytes"):
        parse_frame(bytes(size))


def test_the_longest_frame_fills_a_record_to_the_last_byte():
    plaintext = pack_frame(Frame(1, 0, 0, bytes(FRAME_BODY_MAX)))
    assert len(plaintext) + TAG_BYTES == RECORD_BYTES_MAX
    assert len(pack_record(plaintext + bytes(TAG_BYTES))) == FRAME_BODY_MAX + RECORD_OVERHEAD_BYTES


def test_longer_frames_and_records_are_our_own_bug():
    with pytest.raises(AssertionError):
        pack_frame(Frame(1, 0, 0, bytes(FRAME_BODY_MAX + 1)))
    with pytest.raises(AssertionError):
        pack_record(bytes(RECORD_BYTES_MAX + 1))


def test_the_layout_is_that_of_the_protocol():
    assert pack_frame(Frame(0x22, 1, 0x01020304, b"body")) == b"\x22\x01\x01\x02\x03\x04body"
    assert pack_record(b"abc") == b"\x00\x03abc"
