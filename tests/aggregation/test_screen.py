"""Which differences a rule may see, and how long a vector is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gossipfl.aggregation import norm, screen

any_numbers = hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32))


def test_rows_are_refused_for_their_numbers_or_their_distance_and_each_is_told_why() -> None:
    z = np.array([[3, 4], [np.nan, 0], [0, -np.inf], [30, 40], [3e38, 3e38]], np.float32)
    screened = screen(z, own_norm=4.0, distance_ratio_max=5.0)
    np.testing.assert_array_equal(screened.keep, [True, False, False, False, False])
    assert screened.reasons[0] is None
    assert screened.reasons[1] == screened.reasons[2] == "numbers that are not finite"
    assert screened.reasons[3] == "distance 50 over the limit of 25"
    assert "over the limit" in str(screened.reasons[4])                    # large, but finite


def test_the_limit_itself_is_allowed() -> None:
    z = np.array([[25, 0], [np.nextafter(np.float32(25), np.float32(26)), 0]], np.float32)
    np.testing.assert_array_equal(screen(z, 4.0, 5.0).keep, [True, False])


def test_nobody_to_screen_is_nobody_kept() -> None:
    screened = screen(np.empty((0, 3), np.float32), 1.0, 1.0)
    assert screened.keep.shape == (0,)
    assert screened.reasons == []


@given(any_numbers)
def test_a_length_is_finite_if_and_only_if_every_number_is(x: npt.NDArray[np.float32]) -> None:
    assert np.isfinite(norm(x)) == np.isfinite(x).all()


@given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(-(2.0**120), 2.0**120, width=32)))
def test_a_length_is_right_where_its_square_is_no_float32(x: npt.NDArray[np.float32]) -> None:
    assert norm(x) == pytest.approx(float(np.linalg.norm(x.astype(np.float64))), rel=1e-6, abs=1e-22)


@pytest.mark.parametrize("place", [0, 1_048_576, 2_200_000 - 1])
def test_one_bad_number_in_a_long_vector_is_found(place: int) -> None:
    x = np.zeros(2_200_000, np.float32)
    assert norm(x) == 0
    x[place] = np.nan
    assert not np.isfinite(norm(x))
