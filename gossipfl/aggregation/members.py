"""The two passes over z by numpy of every rule that weighs whole rows: what is measured of them, and their sum.

In spans of columns that stay in cache; inner products of a span in float32, their sum over spans in float64.  An absent
row may hold anything, NaN included, and is never multiplied.  No array of z's size is made.  The same by jax is in
traced.py, what happens between the passes in mixing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from gossipfl.aggregation.geometry import columns_at_random
from gossipfl.aggregation.mixing import Sum
from gossipfl.aggregation.rule import SPAN, About, Array, Looks, Seen, Vector
from gossipfl.aggregation.screen import inner, norm

_SUM_SPAN = 4096                                         # columns for which a weighted sum of rows is fastest ...
_SPAN_MIN = 512
_SPAN_NUMBERS = 106_496                                  # of rows to be multiplied; twice that fits a core's cache ...
_SPAN_PRODUCTS = 960_000                                 # ... and OpenBLAS multiplies up to a million without packing
_SHARE_NUMBERS_MIN = 4_000_000                           # of z, from which a second core saves 2 ms or more
_CORES = 2                                               # at most; the memory of a machine seldom feeds more

T = TypeVar("T")

Matrix = npt.NDArray[np.float64]


def see(z: Vector, w: Array, looks: frozenset[Looks], about: About) -> Seen:
    """Measure of z (n, d) what `looks` names, in float64."""
    present = np.flatnonzero(w > 0)
    seen = Seen(np.where(w > 0, w, 0).astype(np.float64), np.concatenate([[True], w > 0]))
    if "gram" in looks:
        seen = seen._replace(gram=_members(_whole_gram(z, present), present, len(z)))
    if "samples" in looks:
        picked = [z[np.ix_(present, at)] for at in columns_at_random(seen.w, z.shape[1], about.seed, about.round)]
        seen = seen._replace(samples=np.stack([_members(_gram(rows), present, len(z)) for rows in picked]))
    if "lengths" in looks:
        lengths = [norm(row) if here else np.inf for row, here in zip(z, w > 0, strict=True)]
        seen = seen._replace(lengths=np.array(lengths))
    if "own" in looks:
        own = about.own_update
        products = [inner(row, own) if here else 0.0 for row, here in zip(z, w > 0, strict=True)]
        seen = seen._replace(own=np.array([0.0, *products, inner(own, own)]))
    return seen


def row_sum(z: Vector, decided: Sum, about: About) -> Vector:
    """sum_j c_j z_j + own * own_update, (d,); where that is one row as it is, as for Krum, no copy of it."""
    entering = np.flatnonzero(decided.c)
    c = np.asarray(decided.c, np.float32)[entering]
    if len(c) == 1 and c[0] == 1 and decided.own is None:
        row: Vector = z[entering[0]]
        return row
    if not len(c):
        total = np.zeros(z.shape[1], np.float32)                           # touches no memory yet
    else:
        rows, total = _all_or(entering, len(z)), np.empty(z.shape[1], np.float32)
        for span in spans(len(total), _SUM_SPAN):
            total[span] = c @ z[rows, span]                                # of a list of rows a copy, span by span
    if decided.own is not None:
        total += np.float32(decided.own) * about.own_update
    return total


def spans(d: int, size: int, first: int = 0) -> Iterator[slice]:
    """The columns `first` to d, `size` at a time."""
    return (slice(start, min(start + size, d)) for start in range(first, d, size))


def mixed(matrix: Vector, rows: Vector, index: Array | slice, out: Vector) -> Vector:
    """out = matrix @ rows[index], in spans of columns."""
    size = _span_of(*matrix.shape)

    def mix(columns: slice) -> None:
        for span in spans(columns.stop, size, columns.start):
            out[:, span] = np.dot(matrix, rows[index, span])

    _on_all_cores(mix, rows)
    return out


def _span_of(outputs: int, inputs: int) -> int:
    """Columns of so many rows that go into so many products each."""
    fitting = min(_SPAN_NUMBERS // max(1, inputs), _SPAN_PRODUCTS // max(1, outputs * inputs))
    return max(_SPAN_MIN, fitting)


def _on_all_cores(work: Callable[[slice], T], z: Vector) -> list[T]:
    """`work` on the columns of z, or on a part of them per core.

    Its products must be np.dot's: for few rows `@` keeps Python's lock, so that the other core would wait.
    """
    d = z.shape[1]
    if z.size < _SHARE_NUMBERS_MIN:
        return [work(slice(0, d))]
    parts = [slice(d * core // _CORES, d * (core + 1) // _CORES) for core in range(_CORES)]
    with ThreadPoolExecutor(_CORES, "products") as pool:
        return list(pool.map(work, parts))


def _all_or(rows: Array, n: int) -> Array:
    """An index of these rows of n, which makes no copy where it is all of them."""
    return slice(None) if len(rows) == n else rows


def _members(gram: Matrix, present: Array, n: int) -> Matrix:
    """The Gram matrix of the present rows among {0, z} (n + 1, n + 1)."""
    whole = np.zeros((n + 1, n + 1))
    whole[np.ix_(present + 1, present + 1)] = gram
    return whole


def _whole_gram(z: Vector, present: Array) -> Matrix:
    """Inner products of the present rows; all in float64 where those of float32 overflow."""
    rows, count = _all_or(present, len(z)), len(present)
    size = _span_of(count, count)

    def products(columns: slice) -> Matrix:
        total, turned = np.zeros((count, count)), np.empty((count, size), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):                 # per thread
            for span in spans(columns.stop, size, columns.start):
                part = z[rows, span]
                # A copy in cache, for of one array with itself numpy takes BLAS's syrk, which is slow for so few rows.
                copy = turned[:, : part.shape[1]]
                copy[:] = part
                total += np.dot(part, copy.T)
        return total

    total = sum(_on_all_cores(products, z), np.zeros((count, count)))
    if np.isfinite(total).all():
        return (total + total.T) / 2                                       # exactly symmetric: equals stay equals
    return sum((_gram(z[rows, span]) for span in spans(z.shape[1], SPAN)), np.zeros_like(total))


def _gram(rows: Vector) -> Matrix:
    """Inner products of a few columns in float64."""
    wide = rows.astype(np.float64)
    return wide @ wide.T
