"""The two passes over the members' rows by jax: what is measured of them, and the correction, span by span.

Where the rows come from is the caller's matter: a slice of z, or for everyone.py a gather from the models of all peers.
So nothing of the size of all rows is made here, whatever their number.  The same by numpy is in members.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gossipfl.aggregation.coordinate import kept_by, mean_of_ranks, sample_of, share_within
from gossipfl.aggregation.geometry import FAR, columns_at_random
from gossipfl.aggregation.mixing import Decision, Ranking, decide, looks_of
from gossipfl.aggregation.rule import SPAN, About, Array, Budget, Correction, Looks, Seen
from gossipfl.aggregation.table import Recipe


class Rows(NamedTuple):
    """Rows of d columns, 0 where the weight is, to be had in parts."""

    w: Array                                             # (n,)
    d: int
    dtype: Any
    columns: Callable[[Any, int], Array]                 # first column (traced), how many -> (n, how many)
    picked: Callable[[Array], Array]                     # (s,) places of columns -> (n, s)
    own: Callable[[Any, int], Array] | None = None       # columns of my own update


def rows_of(z: Array, w: Array, own_update: Array = None) -> Rows:
    """The rows of an array."""
    import jax.numpy as jnp
    from jax import lax

    def masked(rows: Array) -> Array:
        return jnp.where(w[:, None] > 0, rows, 0)

    def own(start: Any, size: int) -> Array:
        return lax.dynamic_slice_in_dim(own_update, start, size)

    return Rows(
        w, z.shape[1], z.dtype,
        lambda start, size: masked(lax.dynamic_slice_in_dim(z, start, size, axis=1)), lambda at: masked(z[:, at]), own,
    )  # fmt: skip


def mix(rows: Rows, chosen: Recipe, about: About) -> Correction:
    """The correction; none where too few are present: I keep to my own model."""
    import jax.numpy as jnp

    vector, kept = correct(rows, decide(chosen, see(rows, looks_of(chosen), about), about), chosen.budget, about)
    enough = chosen.models(1 + jnp.sum(rows.w > 0)) >= chosen.models_min
    return Correction(jnp.where(enough, vector, 0), jnp.where(enough, kept, 0).astype(jnp.float32))


# ---- the first pass ---------------------------------------------------------------------------------------------


def see(rows: Rows, looks: frozenset[Looks], about: About) -> Seen:
    """Measure what `looks` names, in the rows' own precision."""
    import jax.numpy as jnp

    w = rows.w
    seen = Seen(jnp.where(w > 0, w, 0), jnp.concatenate([jnp.ones(1, bool), w > 0]))
    if "gram" in looks:
        seen = seen._replace(gram=_without_overflow(_total(rows, lambda at, size: _gram(rows.columns(at, size)))))
    if "samples" in looks:
        picked = [rows.picked(at) for at in columns_at_random(w, rows.d, about.seed, about.round)]
        seen = seen._replace(samples=jnp.stack([_gram(part) for part in picked]))
    if "lengths" in looks:
        squares = _total(rows, lambda at, size: jnp.sum(rows.columns(at, size) ** 2, axis=1))
        seen = seen._replace(lengths=jnp.where(w > 0, jnp.sqrt(squares), jnp.inf))
    if "own" in looks:
        seen = seen._replace(own=_total(rows, lambda at, size: _with_own(rows, at, size)))
    return seen


def _gram(rows: Array) -> Array:
    """Inner products of {0} and rows (n, s), (n + 1, n + 1), in full float32 on accelerators, too."""
    import jax.numpy as jnp

    return jnp.pad(jnp.matmul(rows, rows.T, precision="highest"), ((1, 0), (1, 0)))


def _without_overflow(gram: Array) -> Array:
    """Members whose length is no float32 become FAR long and orthogonal to all: nobody's neighbors."""
    import jax.numpy as jnp

    fine = jnp.isfinite(jnp.diagonal(gram))
    return jnp.where(fine[:, None] & fine[None, :], gram, jnp.where(jnp.eye(len(gram), dtype=bool), FAR, 0))


def _with_own(rows: Rows, start: Any, size: int) -> Array:
    """Inner products of my own update with {0}, the rows and itself, in these columns, (n + 2,)."""
    import jax.numpy as jnp

    assert rows.own is not None
    own = rows.own(start, size)
    products = jnp.sum(rows.columns(start, size) * own, axis=1)
    return jnp.concatenate([jnp.zeros(1, rows.dtype), products, jnp.sum(own * own)[None]])


def _total(rows: Rows, part: Callable[[Any, int], Array]) -> Array:
    """The sum over all spans of part(first column, how many)."""
    from jax import lax

    rest = rows.d % SPAN
    total = part(rows.d - rest, rest)                                      # of no columns, perhaps: zeros
    return lax.fori_loop(0, rows.d // SPAN, lambda i, sum_: sum_ + part(i * SPAN, SPAN), total) \
        if rows.d >= SPAN else total


# ---- the second pass --------------------------------------------------------------------------------------------


def correct(rows: Rows, decision: Decision, budget: Budget, about: About) -> Correction:
    """What was decided, done."""
    vector = _whole(rows, lambda at, size: _part(rows, decision, budget, at, size))
    if not isinstance(decision, Ranking):
        return Correction(vector, decision.kept)
    near, drop = decision.ranks.near, decision.ranks.drop(budget)
    members = _members(rows.picked(sample_of(rows.w, rows.d, about)), decision.matrix)
    return Correction(vector, kept_by(share_within(members, decision.chosen, near, drop), decision, rows.w))


def _part(rows: Rows, decision: Decision, budget: Budget, start: Any, size: int) -> Array:
    """The correction in these columns."""
    import jax.numpy as jnp

    z = rows.columns(start, size)
    if isinstance(decision, Ranking):
        drop = decision.ranks.drop(budget)
        return mean_of_ranks(_members(z, decision.matrix), decision.chosen, decision.ranks.near, drop)
    # One row at a time: XLA fuses this into one loop, while its product of matrices is ten times slower here.
    total = jnp.zeros(size, rows.dtype)
    for row, share in zip(z, decision.c, strict=True):
        total += jnp.where(share != 0, share * row, 0)
    return total if decision.own is None or rows.own is None else total + decision.own * rows.own(start, size)


def _members(z: Array, matrix: Array | None) -> Array:
    """{0, z}, or A {0, z}."""
    import jax.numpy as jnp

    return jnp.pad(z, ((1, 0), (0, 0))) if matrix is None else jnp.matmul(matrix[:, 1:], z, precision="highest")


def _whole(rows: Rows, part: Callable[[Any, int], Array]) -> Array:
    """part(first column, how many) of all spans, one behind the other, (d,)."""
    import jax.numpy as jnp
    from jax import lax

    rest = rows.d % SPAN
    if rows.d < SPAN:
        return part(0, rest)
    spans = lax.map(lambda start: part(start, SPAN), jnp.arange(0, rows.d - rest, SPAN)).reshape(-1)
    return jnp.concatenate([spans, part(rows.d - rest, rest)]) if rest else spans
