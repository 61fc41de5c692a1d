"""Every codec: a round trip within its error, an exact length, and nothing but finite numbers out of any bytes."""

from __future__ import annotations

import contextlib

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gossipfl.codec import CODECS, BadPayload, Codec, Diverged

Vector = npt.NDArray[np.float32]
MAX = float(np.finfo(np.float32).max)

codecs = st.sampled_from(list(CODECS.values()))
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())


def vectors(largest: float) -> st.SearchStrategy[Vector]:
    numbers = st.floats(-largest, largest, width=32)
    return hnp.arrays(np.float32, st.integers(1, 600), elements=numbers, fill=numbers)


def error_bound(codec: Codec, delta: Vector) -> npt.NDArray[np.float64]:
    """The largest error allowed in each coordinate, from the formats alone."""
    if codec.name == "float32":
        return np.zeros(delta.size)
    if codec.name == "bfloat16":
        return np.abs(delta.astype(np.float64)) * 2.0**-8 + 2.0**-134     # 8 significant bits; half the smallest step
    blocks = [np.full(len(part), float(np.abs(part).max())) for part in np.split(delta, range(256, len(delta), 256))]
    return np.concatenate(blocks) / 254 * 1.0001 + 127 * 2.0**-126        # half a step; blocks too small are zeros


@given(codecs, vectors(2.0**126))
def test_a_delta_comes_back_within_the_codecs_error_and_its_payload_has_the_promised_length(
    codec: Codec, delta: Vector
) -> None:
    payload = codec.encode(delta)
    assert len(payload) == codec.payload_bytes(delta.size)
    decoded = codec.decode(payload, delta.size)
    assert decoded.dtype == np.float32
    assert (np.abs(decoded.astype(np.float64) - delta) <= error_bound(codec, delta)).all()


@given(codecs, vectors(2.0**100))
def test_what_a_codec_has_decoded_it_encodes_again_without_another_error(codec: Codec, delta: Vector) -> None:
    once = codec.decode(codec.encode(delta), delta.size)
    twice = codec.decode(codec.encode(once), delta.size)
    np.testing.assert_allclose(twice, once, rtol=3e-7, atol=0)           # the int8 scale is divided once more


@every_codec
def test_a_delta_longer_than_the_spans_it_is_worked_on_in_is_encoded_like_its_parts(codec: Codec) -> None:
    delta = np.random.default_rng(1).standard_normal(2 * 65_536 + 777).astype(np.float32)
    whole = codec.decode(codec.encode(delta), delta.size)
    parts = [codec.decode(codec.encode(part), part.size) for part in np.split(delta, range(256, delta.size, 256))]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("lower", [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
def test_bfloat16_rounds_every_number_as_ml_dtypes_does(lower: int) -> None:
    delta = (np.arange(2**16, dtype=np.uint32) << 16 | lower).view(np.float32)       # 0x8000 is the tie
    with np.errstate(invalid="ignore"):                                   # signaling NaNs
        sendable = delta[np.isfinite(delta.astype(ml_dtypes.bfloat16).astype(np.float32))]
    assert len(sendable) > 65_000
    assert CODECS["bfloat16"].encode(sendable) == sendable.astype(ml_dtypes.bfloat16).tobytes()


def test_bfloat16_does_not_send_what_it_would_round_to_infinity() -> None:
    with pytest.raises(Diverged):
        CODECS["bfloat16"].encode(np.array([0x7F7F8000], np.uint32).view(np.float32))
    assert CODECS["bfloat16"].encode(np.array([0x7F7F7FFF], np.uint32).view(np.float32)).hex() == "7f7f"


def test_payloads_are_these_bytes() -> None:
    delta = np.array([1.0, -2.0, 0.5], np.float32)
    assert CODECS["float32"].encode(delta).hex() == "0000803f000000c00000003f"
    assert CODECS["bfloat16"].encode(delta).hex() == "803f00c0003f"
    assert CODECS["int8"].encode(delta).hex() == "0402813c" + "408120"    # 2/127 | 64 (63.5 to even), -127, 32


@every_codec
@pytest.mark.parametrize("change", [-1, 1])
def test_a_payload_one_byte_off_is_refused(codec: Codec, change: int) -> None:
    payload = codec.encode(np.ones(300, np.float32))
    wrong = payload[:-1] if change < 0 else payload + b"\0"
    with pytest.raises(BadPayload, match=f"{len(wrong)} bytes.*needs {len(payload)}"):
        codec.decode(wrong, 300)


@every_codec
def test_a_payload_is_read_from_a_memoryview_and_not_referred_to_afterwards(codec: Codec) -> None:
    delta = np.linspace(-1, 1, 300, dtype=np.float32)
    buffer = bytearray(b"?" + codec.encode(delta))                        # odd offset: nothing is aligned
    decoded = codec.decode(memoryview(buffer)[1:], 300)
    before = decoded.copy()
    buffer[1:] = bytes(len(buffer) - 1)
    np.testing.assert_array_equal(decoded, before)
    decoded += 1                                                          # and it is the receiver's to write into


@given(codecs, st.integers(1, 20), st.data())
def test_any_bytes_of_the_right_length_are_finite_numbers_or_a_bad_payload(
    codec: Codec, size: int, data: st.DataObject
) -> None:
    length = codec.payload_bytes(size)
    payload = data.draw(st.binary(min_size=length, max_size=length))
    with contextlib.suppress(BadPayload):
        assert np.isfinite(codec.decode(payload, size)).all()


@pytest.mark.parametrize("scale", [np.nan, np.inf, -1.0, MAX])
def test_an_int8_scale_that_gives_no_finite_numbers_is_refused(scale: float) -> None:
    payload = np.array([1.0, scale], "<f4").tobytes() + bytes(300)
    with pytest.raises(BadPayload, match="scale"):
        CODECS["int8"].decode(payload, 300)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(name: str, number: float) -> None:
    delta = np.array([0, number], np.float32)
    payload = delta.tobytes() if name == "float32" else delta.astype(ml_dtypes.bfloat16).tobytes()
    with pytest.raises(BadPayload, match="not finite"):
        CODECS[name].decode(payload, 2)


@every_codec
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_my_own_diverged_model_is_not_sent(codec: Codec, number: float) -> None:
    delta = np.zeros(400, np.float32)
    delta[300] = number
    with pytest.raises(Diverged, match="learning_rate"):
        codec.encode(delta)


@every_codec
def test_numbers_at_the_ends_of_float32_survive_or_are_not_sent(codec: Codec) -> None:
    tiny = np.array([1e-45, -1e-40, 1e-38], np.float32)
    assert np.abs(codec.decode(codec.encode(tiny), 3) - tiny).max() <= error_bound(codec, tiny).max()
    huge = np.array([MAX, -MAX], np.float32)
    if codec.name == "float32":
        np.testing.assert_array_equal(codec.decode(codec.encode(huge), 2), huge)
    else:
        with pytest.raises(Diverged):
            codec.encode(huge)


@given(vectors(1e3))
def test_int8_is_the_nearest_of_255_levels(delta: Vector) -> None:
    decoded = CODECS["int8"].decode(CODECS["int8"].encode(delta), delta.size)
    levels = np.abs(delta[:256]).max() / 127 * np.arange(-127, 128)
    nearest = np.abs(delta[:256, None] - levels).min(axis=1)
    chosen = np.abs(delta[:256] - decoded[:256])
    assert (chosen <= nearest + 1e-5 * np.abs(delta[:256]).max() + 1e-30).all()
