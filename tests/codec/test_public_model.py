"""The public model: both ends hold the same bits, and rounding errors are carried along instead of added up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.codec import CODECS, BadPayload, Codec, PublicModel, from_snapshot, snapshot_bytes

Vector = npt.NDArray[np.float32]

ROUNDS = 60
START = bytes(32)
EPS = float(np.finfo(np.float32).eps)
STEP_SHARE = {"float32": 0.0, "bfloat16": 2.0**-8, "int8": 1 / 250}      # error over the largest number of a difference

every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())


def a_model(size: int = 300) -> PublicModel:
    return PublicModel(np.zeros(size, np.float32), START)


def send(codec: Codec, mine: PublicModel, x_half: Vector, state: bytes) -> tuple[bytes, PublicModel]:
    payload = codec.encode(mine.difference(x_half))
    return payload, mine.advance(codec.decode(payload, mine.size), state)


def training(seed: int, size: int = 300) -> list[Vector]:
    """A model on its way: steps of very different size, some repeated, with coordinates of very different scale."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-4, 1, size)
    steps = [rng.standard_normal(size) * scale * 10.0 ** rng.uniform(-2, 0) for _ in range(ROUNDS)]
    return [x.astype(np.float32) for x in np.cumsum(steps, axis=0)]


@given(st.sampled_from(list(CODECS.values())), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_sender_and_receiver_hold_the_same_bits_and_the_error_stays_below_one_rounds_rounding(
    codec: Codec, seed: int
) -> None:
    mine = theirs = a_model()
    for round_, x_half in enumerate(training(seed)):
        difference = np.abs(mine.difference(x_half)).max()
        payload, mine = send(codec, mine, x_half, bytes([round_]) * 32)
        theirs = theirs.advance(codec.decode(payload, theirs.size), bytes([round_]) * 32)
        assert theirs.vector.tobytes() == mine.vector.tobytes()
        assert theirs.state == mine.state == bytes([round_]) * 32
        rounding = EPS * (difference + np.abs(x_half).max())
        assert np.abs(x_half - mine.vector).max() <= STEP_SHARE[codec.name] * difference + rounding


@pytest.mark.parametrize("name", ["bfloat16", "int8"])
def test_quantization_errors_do_not_accumulate(name: str) -> None:
    codec, public = CODECS[name], a_model()
    step = np.random.default_rng(3).standard_normal(300).astype(np.float32)
    without_feedback = np.zeros(300, np.float32)
    for round_ in range(200):
        x_half = step * np.float32(round_ + 1)
        without_feedback += codec.decode(codec.encode(step), 300)        # what a delta of the step alone would give
        _, public = send(codec, public, x_half, START)
    one_round = np.abs(step - codec.decode(codec.encode(step), 300)).max()
    assert np.abs(x_half - without_feedback).max() > 150 * one_round
    assert np.abs(x_half - public.vector).max() < 3 * one_round


@pytest.mark.parametrize("name", ["bfloat16", "int8"])
def test_a_model_that_stands_still_is_soon_known_exactly(name: str) -> None:
    codec, public = CODECS[name], a_model()
    x_half = np.random.default_rng(4).standard_normal(300).astype(np.float32)
    for _ in range(6):
        _, public = send(codec, public, x_half, START)
    np.testing.assert_allclose(public.vector, x_half, rtol=2 * EPS, atol=1e-9)


@every_codec
def test_a_newcomer_with_a_snapshot_follows_the_deltas_bit_by_bit(codec: Codec) -> None:
    path = training(5)
    mine = a_model()
    for x_half in path[:10]:
        _, mine = send(codec, mine, x_half, b"ten".ljust(32))
    newcomer = a_model().replaced(snapshot_bytes(mine), mine.state)
    for x_half in path[10:20]:
        payload, mine = send(codec, mine, x_half, b"twenty".ljust(32))
        newcomer = newcomer.advance(codec.decode(payload, newcomer.size), b"twenty".ljust(32))
    assert newcomer.vector.tobytes() == mine.vector.tobytes()
    assert newcomer.state == mine.state


def test_a_snapshot_is_the_vector_in_little_endian_float32() -> None:
    vector = np.array([1.0, -2.0], np.float32)
    assert snapshot_bytes(PublicModel(vector, START)).hex() == "0000803f000000c0"
    np.testing.assert_array_equal(from_snapshot(bytes.fromhex("0000803f000000c0"), 2), vector)


NAN, INFINITE = np.array([0, np.nan], "<f4").tobytes(), np.array([np.inf, 0], "<f4").tobytes()


@pytest.mark.parametrize("payload", [b"", bytes(7), bytes(12), NAN, INFINITE])
def test_a_snapshot_of_another_length_or_with_numbers_that_are_not_finite_is_refused(payload: bytes) -> None:
    with pytest.raises(BadPayload):
        from_snapshot(payload, 2)


def test_a_snapshot_of_very_large_numbers_is_finite_all_the_same() -> None:
    vector = np.full(3, 3e38, np.float32)                                 # their squares are not
    np.testing.assert_array_equal(from_snapshot(vector.tobytes(), 3), vector)


def test_a_public_model_is_not_changed_by_its_successor() -> None:
    old = PublicModel(np.ones(4, np.float32), START)
    new = old.advance(np.ones(4, np.float32), b"next".ljust(32))
    np.testing.assert_array_equal(old.vector, [1, 1, 1, 1])
    np.testing.assert_array_equal(new.vector, [2, 2, 2, 2])


def test_deltas_that_together_leave_the_range_of_float32_are_refused() -> None:
    far = a_model(2).advance(np.full(2, 3e38, np.float32), START)
    with pytest.raises(BadPayload, match="range of float32"):
        far.advance(np.full(2, 3e38, np.float32), START)
