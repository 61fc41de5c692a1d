"""Parameters survive the way into a vector and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.learning.vector import Layout

shapes = st.dictionaries(
    st.text("abc", min_size=1), st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=5
)


@given(shapes)
def test_flatten_and_unflatten_are_mirrors(shapes):
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    layout = Layout.of(params)
    vector = layout.flatten(params)
    assert vector.shape == (layout.size,)
    restored = layout.unflatten(vector)
    assert list(restored) == list(params)
    assert all(np.array_equal(restored[name], params[name]) for name in params)


def test_order_is_that_of_the_names_as_made():
    vector = Layout((("b", (2,)), ("a", (1, 2)))).flatten({"a": np.array([[3, 4]]), "b": np.array([1, 2])})
    assert vector.tolist() == [1, 2, 3, 4]


def test_a_vector_of_another_length_is_a_bug():
    with pytest.raises(AssertionError, match="3 parameters"):
        Layout((("a", (3,)),)).unflatten(np.zeros(4))
