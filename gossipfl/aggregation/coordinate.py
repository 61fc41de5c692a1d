"""Rules that look at one coordinate at a time: median, trimmed mean, MeaMed, and the second half of Bulyan.

All are the mean of some consecutive ranks of the members' numbers: those in the middle (Yin et al. 2018), or those
nearest to the median (Xie et al. 2018).  mixing.py has chosen the members: {0, z}, or rows of A {0, z}.  Ranks come
from sorting.py, run here by numpy in spans that stay in cache or by jax in one fused loop.  Numbers must be finite
(screen.py): a NaN has no rank.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gossipfl.aggregation.geometry import dice
from gossipfl.aggregation.members import mixed, spans
from gossipfl.aggregation.mixing import Ranking, kept_of
from gossipfl.aggregation.rule import SPAN, About, Array, Budget, Correction, Vector, library
from gossipfl.aggregation.sorting import Network, network, run

_COMPILE_NUMBERS_MIN = 4_000_000    # n * d from which jax saves 5 ms a call, so that its 0.15 s to compile soon pays
_COMPILE_ROWS_MAX = 64              # 850 steps; beyond, compiling takes seconds
_VERDICTS = 0x5EE                    # salt of the dice
_SAMPLE = 256                       # columns on which `kept` is counted: 3 % standard error at most
_LINE = 16                          # float32 numbers of the 64 bytes to which jax wants memory aligned


class Window(NamedTuple):
    """Which ranks of so many rows are averaged.  Hashable: one program each."""

    models: int
    near: bool                                           # all but the `drop` furthest from the median, or ...
    drop: int | None                                     # ... all but `drop` at each end; None: all but the middle

    @property
    def network(self) -> Network:
        """What ranks the rows."""
        if self.near:
            return network(self.models, 0, self.models - 1)
        cut = _cut(self.models, self.drop)
        return network(self.models, cut, self.models - 1 - cut, in_order=False)


def ranked(z: Vector, w: Array, ranking: Ranking, budget: Budget, about: About) -> Correction:
    """The correction of a rule that ranks, by numpy or in place by jax."""
    near, drop = ranking.ranks.near, ranking.ranks.drop(budget)
    window = Window(int(ranking.chosen.sum()), near, drop)
    members = _members(z[:, sample_of(w, z.shape[1], about)], w, ranking.matrix)
    share = share_within(members, ranking.chosen, near, drop)
    return Correction(_mean_of(window, z, w, ranking), kept_by(share, ranking, w).astype(np.float32))


def _members(z: Vector, w: Array, matrix: Array | None) -> Vector:
    """{0, z} with 0 for the absent, or A {0, z}."""
    rows = np.pad(np.where(w[:, None] > 0, z, 0), ((1, 0), (0, 0)))
    return rows if matrix is None else matrix.astype(np.float32) @ rows


def _cut(models: Any, drop: int | None) -> Any:
    return (models - 1) // 2 if drop is None else drop


# ---- numpy ----------------------------------------------------------------------------------------------------------


def _mean_of(window: Window, z: Vector, w: Array, ranking: Ranking) -> Vector:
    """The rule's result, in place by jax where that pays, else in spans by numpy."""
    present, matrix = np.flatnonzero(w > 0), None
    large = window.models * z.shape[1] >= _COMPILE_NUMBERS_MIN and window.models <= _COMPILE_ROWS_MAX
    if ranking.matrix is not None:
        matrix = ranking.matrix[np.ix_(ranking.chosen, np.append(0, present + 1))].astype(np.float32)
    if large and len(present) == len(z) and (matrix is not None or ranking.chosen.all()):
        return _compiled(window, z, matrix)
    chosen = present if matrix is not None else np.flatnonzero(ranking.chosen[1:])
    mean = np.empty(z.shape[1], np.float32)
    for span in spans(len(mean), SPAN):
        rows = list(z[:, span] if len(chosen) == len(z) else z[chosen, span])
        me = [np.zeros_like(mean[span])] if matrix is not None or ranking.chosen[0] else []
        mean[span] = _span(window, [*me, *rows], matrix)
    return mean


def _span(window: Window, rows: list[Vector], matrix: Vector | None) -> Vector:
    """The mean of the window of rows, or of `matrix` times them; each (s,), s small enough for the cache."""
    net = window.network
    rows = rows if matrix is None else _mixed(rows, matrix)
    scratch = np.empty((net.scratch, len(rows[0])), np.float32)
    mean: Vector = _mean(window, run(net, rows, list(scratch), _smaller, _larger))
    return mean


def _mixed(rows: list[Vector], matrix: Vector) -> list[Vector]:
    """A times rows by numpy."""
    old = np.stack(rows)
    return list(mixed(matrix, old, slice(None), np.empty((len(matrix), old.shape[1]), np.float32)))


def _smaller(a: Vector, b: Vector, space: Vector) -> Vector:
    return np.minimum(a, b, out=space)


def _larger(a: Vector, b: Vector, space: Vector) -> Vector:
    return np.maximum(a, b, out=space)


def _mean(window: Window, ranks: list[Any]) -> Any:
    """Of the network's outputs."""
    if window.near:
        return _mean_near(ranks, window.models, window.drop or 0)
    return ranks[0] if len(ranks) == 1 else sum(ranks[1:], ranks[0]) * np.float32(1 / len(ranks))


def _compiled(window: Window, rows: Vector, matrix: Vector | None) -> Vector:
    """The same of {0} and rows by jax, which reads numpy's memory in place if it starts on a cache line.

    Few arrays do, and copying them would take ten times as long as the network.  So jax gets the flat memory from the
    first cache line on, cuts the rows out of it itself, and the fewer than 16 columns before that are numpy's.
    """
    flat = np.ascontiguousarray(rows).reshape(-1)
    lead = min(-(flat.ctypes.data // 4) % _LINE, rows.shape[1])
    body = _compile(window, *rows.shape, lead, matrix is not None)(flat[lead:], matrix)
    head = [np.zeros(lead, np.float32), *rows[:, :lead]]
    return np.concatenate([_span(window, head, matrix), body])


@lru_cache(maxsize=32)
def _compile(window: Window, n: int, d: int, lead: int, is_mixed: bool) -> Any:
    """A jax function of the flat rows without their first `lead` numbers, (n * d - lead,) -> columns from lead on.

    Where rows are mixed, every mixed row is a sum written out, so that it is made and ranked in one loop over columns
    and never stored; a product of matrices would be stored, and read again.
    """
    import jax
    import jax.numpy as jnp

    net = window.network

    def mean(flat: Array, matrix: Array) -> Array:
        rows = [jnp.zeros(d - lead, jnp.float32)]
        rows += [flat[row * d : (row + 1) * d - lead] for row in range(n)]
        if is_mixed:
            rows = [sum(matrix[new, old] * rows[old] for old in range(1, n + 1)) for new in range(window.models)]
        return _mean(window, run(net, rows, [rows[0]] * net.scratch, *_picks(jnp)))

    return jax.jit(mean)


# ---- jax ------------------------------------------------------------------------------------------------------------


def _picks(jnp: Any) -> tuple[Any, Any]:
    """Minimum and maximum by comparing: half the instructions of jnp.minimum, which looks for NaN."""
    return lambda a, b, _: jnp.where(a < b, a, b), lambda a, b, _: jnp.where(a > b, a, b)


def mean_of_ranks(rows: Array, chosen: Array, near: bool, drop: int | None) -> Array:
    """The same where the number of chosen rows (m, s) is not known while tracing: which ranks enter is computed, too.

    Rows that are not chosen become +inf, and those for a window in the middle -inf and +inf by turns: half of them,
    rounded down, rank below everybody chosen.  Where nothing would be left, 0.
    """
    import jax.numpy as jnp

    m, models = len(rows), jnp.sum(chosen)
    if near:
        net = network(m, 0, m - 1)
        return _mean_near(_padded(net, rows, chosen, jnp.zeros(m, bool)), models, drop or 0)
    cut = _cut(models, drop)
    first, last = (m - models) // 2 + cut, (m - models) // 2 + models - 1 - cut      # ranks that enter, traced ...
    low, high = (max(0, m // 2 - 1), m // 2) if drop is None else (drop, m - 1 - drop)    # ... and where they can be
    low, high = min(low, m - 1), min(high, m - 1)
    ranks = _padded(network(m, low, high), rows, chosen, jnp.cumsum(~chosen) % 2 == 0)
    total = sum(jnp.where((first <= rank) & (rank <= last), values, 0) for rank, values in enumerate(ranks, low))
    return total / jnp.maximum(last - first + 1, 1)


def _padded(net: Network, rows: Array, chosen: Array, is_below: Array) -> list[Array]:
    import jax.numpy as jnp

    padding = jnp.where(is_below, -jnp.inf, jnp.inf).astype(rows.dtype)    # (m,)
    filled = jnp.where(chosen[:, None], rows, padding[:, None])
    return run(net, list(filled), [filled[0]] * net.scratch, *_picks(jnp))


# ---- both -----------------------------------------------------------------------------------------------------------


def _mean_near(ranks: list[Array], models: Any, drop: int) -> Array:
    """The mean of all but the `drop` furthest from the median, of `models` sorted rows that come first in `ranks`.

    They are consecutive: a window that moves up by one as long as the number above it is nearer than its lowest.
    """
    xp, count = library(ranks[0]), models - drop
    at = _picker(ranks, models)
    median = (at((models - 1) // 2) + at(models // 2)) * xp.float32(0.5)
    start = sum(1 * (at(low + count) - median < median - at(low)) for low in range(drop))     # (s,)
    inside = [xp.where((start <= rank) & (rank < start + count), row, 0) for rank, row in enumerate(ranks)]
    return sum(inside[1:], inside[0]) * (xp.float32(1) / xp.maximum(count, 1)).astype(xp.float32)


def _picker(ranks: list[Array], models: Any) -> Callable[[Any], Array]:
    """Row `rank` of the ranks, where that may be known only at run time."""
    if isinstance(models, int):
        return lambda rank: ranks[rank]
    import jax.numpy as jnp

    stacked = jnp.stack(ranks)
    return lambda rank: jnp.take(stacked, jnp.clip(rank, 0, len(ranks) - 1), axis=0)


def sample_of(like: Array, d: int, about: About) -> Array:
    """At most 256 evenly spaced of d columns, from a place that my dice choose, so that nobody lies beside them."""
    step = max(1, d // _SAMPLE)
    first = dice(like, 1, about.seed, about.round, _VERDICTS) % library(like).uint32(step)
    return np.arange(min(d, _SAMPLE), dtype=np.uint32) * np.uint32(step) + first


def share_within(rows: Array, chosen: Array, near: bool, drop: int | None) -> Array:
    """In which share of the columns of rows (m, s) each chosen one lies within the window, (m,).

    Taken on a sample: over all columns it would cost as much as the rule, and its reader looks at two digits.
    """
    xp, models = library(rows), chosen.sum()
    ordered = xp.sort(xp.where(chosen[:, None], rows, xp.inf), axis=0)

    def at(rank: Any) -> Array:
        places = xp.zeros((1, rows.shape[1]), int) + xp.clip(rank, 0, len(rows) - 1)
        return xp.take_along_axis(ordered, places, axis=0)

    if near:
        count, median = models - (drop or 0), (at((models - 1) // 2) + at(models // 2)) / 2
        first = sum(1 * (at(low + count) - median < median - at(low)) for low in range(drop or 0))
    else:
        first, count = _cut(models, drop), models - 2 * _cut(models, drop)
    inside = chosen[:, None] & (at(first) <= rows) & (rows <= at(first + count - 1)) & (count > 0)
    return inside.mean(axis=1)


def kept_by(share: Array, ranking: Ranking, w: Array) -> Array:
    """How much of each neighbor entered, from the share of coordinates in which each member did, (n,)."""
    xp = library(share)
    if ranking.matrix is None:
        return share[1:]
    here = xp.concatenate([xp.ones(1, bool), w > 0])
    return kept_of(share @ ranking.matrix / xp.maximum(share.sum(), 1e-9), here)
