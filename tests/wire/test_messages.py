"""Any bytes are a message of this protocol or a BadMessage, and nothing else happens."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_samples import MESSAGES

from gossipfl.errors import PeerError
from gossipfl.wire.messages import (
    EXTENSIONS_FROM,
    TYPES,
    BadMessage,
    Close,
    Digest,
    Done,
    Ping,
    Refuse,
    Want,
    decode,
    encode,
)
from gossipfl.wire.records import FRAME_BODY_MAX, Frame

LIMIT = 60 * 1024
each_type = pytest.mark.parametrize("code", TYPES, ids=lambda code: TYPES[code].__name__)


def frame_of(schema, tables):
    body = tables if isinstance(tables, bytes) else msgpack.packb(tables)
    return Frame(next(code for code, kind in TYPES.items() if kind is schema), 0, 0, body)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_every_message_comes_back_as_it_was(message):
    assert decode(encode(message), LIMIT) == message


@each_type
@settings(max_examples=50)
@given(body=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_peer_errors(code, body):
    with suppress(PeerError):
        assert isinstance(decode(Frame(code, 0, 0, body), LIMIT), TYPES[code])


@each_type
@settings(max_examples=50)
@given(data=st.data())
def test_altered_messages_raise_only_peer_errors(code, data):
    body = bytearray(encode(next(message for message in MESSAGES if type(message) is TYPES[code])).body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    with suppress(PeerError):
        assert isinstance(decode(Frame(code, 0, 0, bytes(body)), LIMIT), TYPES[code])


@each_type
def test_truncated_messages_are_bad_at_every_length(code):
    body = encode(next(message for message in MESSAGES if type(message) is TYPES[code])).body
    for length in range(len(body)):
        with pytest.raises(BadMessage):
            decode(Frame(code, 0, 0, body[:length]), LIMIT)


@each_type
@settings(max_examples=50)
@given(
    tables=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=12,
    )
)
def test_well_formed_tables_of_any_shape_raise_only_peer_errors(code, tables):
    with suppress(PeerError):
        assert isinstance(decode(Frame(code, 0, 0, msgpack.packb(tables)), LIMIT), TYPES[code])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x82\xa5nonce\x01\xa5nonce\x02",
        b"\x81\xa5nonce\x01\x00",
        b"\x81\xa5nonce",
        b"\x81\xa5nonce\xcb\x3f\xf0\0\0\0\0\0\0",
        b"\x81\xa5nonce\xc3",
        b"\x81\xa5nonce\xa11",
        b"\x81\xa5nonce\xff",
        b"\x81\xa5nonce\xcf\x80\0\0\0\0\0\0\0",
        b"\x82\xa5nonce\x01\xa1x\x01",
        b"\x81\xc4\x05nonce\x01",
        b"\x81\x01\x01",
        b"\x81\x90\x01",
        b"\x80",
        b"\x91\x01",
        b"\x01",
        b"\xc1",
        b"\xd4\x01\x10",
        b"\xc7\x00\x01",
        b"\xd6\xff\x5a\x4a\xf6\xa5",
        b"\x81\xa5nonce\xd6\xff\x5a\x4a\xf6\xa5",
        b"\x81\xa5non\xffe\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\x91" * 50_000,
        b"\x81\xa5nonce" * 7_000,
        b"\xdc\x10\x01" + b"\x90" * 4097,
        b"\xdc\xff\xff" + b"\x90" * 60_000,
        b"\xde\x01\x01" + b"".join(msgpack.packb(str(number)) + b"\0" for number in range(257)),
    ],
    ids=[
        "empty", "duplicate key", "bytes after the end", "cut", "float", "boolean", "text", "negative", "over 63 bits",
        "unknown key", "bytes as key", "number as key", "list as key", "field missing", "array", "number",
        "unused code", "extension", "empty extension", "timestamp", "timestamp inside", "bad UTF-8", "array bomb",
        "map bomb", "text bomb", "bytes bomb", "extension bomb", "deep arrays", "deep maps", "array over the limit",
        "announced array", "map over the limit",
    ],
)  # fmt: skip
def test_malformed_pings_are_bad_messages(body):
    with pytest.raises(BadMessage):
        decode(frame_of(Ping, body), LIMIT)


def test_a_message_of_the_limit_is_read_and_one_byte_more_is_not():
    frame = encode(Close(code=1, text="x" * 100))
    assert decode(frame, len(frame.body)) == Close(code=1, text="x" * 100)
    with pytest.raises(BadMessage, match=f"limit is {len(frame.body) - 1}"):
        decode(frame, len(frame.body) - 1)


@pytest.mark.parametrize(
    ("schema", "tables"),
    [
        (Close, {"code": 1, "text": "x" * 257}),
        (Close, {"code": 2**63}),
        (Done, {"round": -1}),
        (Want, {"root": b"r" * 31, "chunks": [0]}),
        (Want, {"root": b"r" * 32, "chunks": []}),
        (Want, {"root": b"r" * 32, "chunks": [0] * 1025}),
        (Digest, {"buckets": [b"h" * 32] * 15}),
        (Digest, {"buckets": [b"h" * 32] * 17}),
    ],
)
def test_fields_beyond_their_bounds_are_bad_messages(schema, tables):
    with pytest.raises(BadMessage):
        decode(frame_of(schema, tables), LIMIT)


def test_bytes_written_as_text_are_no_second_spelling():
    with pytest.raises(BadMessage, match="Expected `bytes`"):
        decode(frame_of(Refuse, {"root": "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI="}), LIMIT)


@pytest.mark.parametrize("code", sorted(set(range(256)) - set(TYPES)))
def test_extensions_are_ignored_and_other_unknown_types_refused(code):
    frame = Frame(code, 0, 0, b"whatever")
    if code >= EXTENSIONS_FROM:
        assert decode(frame, LIMIT) is None
    else:
        with pytest.raises(BadMessage, match=f"0x{code:02x}"):
            decode(frame, LIMIT)


def test_published_msgpack_numbers_are_read_where_they_are_whole_and_in_range(vectors):
    suite = vectors("msgpack-test-suite.json")
    read = 0
    for case in [*suite["20.number-positive.yaml"], *suite["21.number-negative.yaml"], *suite["23.number-bignum.yaml"]]:
        number = int(case["bignum"] if "bignum" in case else case["number"])
        for encoded in map(unhex, case["msgpack"]):
            frame = frame_of(Ping, b"\x81\xa5nonce" + encoded)
            if 0 <= number < 2**63 and encoded[0] not in (0xCA, 0xCB):
                assert decode(frame, LIMIT) == Ping(nonce=number)
                read += 1
            else:
                with pytest.raises(BadMessage):
                    decode(frame, LIMIT)
    assert read > 50


def test_published_msgpack_texts_are_read_and_everything_else_is_not_a_text(vectors):
    suite = vectors("msgpack-test-suite.json")
    read = 0
    for name, cases in suite.items():
        for case in cases:
            for encoded in map(unhex, case["msgpack"]):
                frame = frame_of(Close, b"\x82\xa4code\x01\xa4text" + encoded)
                if "string" in name:
                    assert decode(frame, LIMIT).text == case["string"]
                    read += 1
                else:
                    with pytest.raises(BadMessage):
                        decode(frame, LIMIT)
    assert read > 20


def unhex(text):
    return bytes.fromhex(text.replace("-", ""))


def test_no_limit_of_a_message_exceeds_a_frame():
    assert LIMIT <= FRAME_BODY_MAX
