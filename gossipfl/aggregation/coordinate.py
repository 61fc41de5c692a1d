"""Rules that look at one coordinate at a time: the median and the trimmed mean (Yin et al. 2018).

Both are the mean of the middle ranks of {me, my neighbors}; they differ in how many ranks are cut off at each end.
With at most f liars and f ranks cut at each end, every coordinate of the result lies within the range of the honest
values, mine included.  The ranks come from sorting.py, run here by numpy in cache-sized spans or by jax in one fused
loop.  Numbers must be finite (screen.py): a NaN has no rank.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from gossipfl.aggregation.rule import SPAN, Array, Budget, Correction, Vector, on_host
from gossipfl.aggregation.sorting import Network, network, run
from gossipfl.errors import TooFewPeers

_COMPILE_NUMBERS_MIN = 4_000_000    # n * d from which jax saves 5 ms a call, so that its 0.15 s to compile soon pays
_COMPILE_ROWS_MAX = 64              # 850 steps; beyond, compiling takes seconds
_SAMPLE = 256                       # columns on which `kept` is counted: 3 % standard error at most
_LINE = 16                          # float32 numbers of the 64 bytes to which jax wants memory aligned


def median(z: Array, w: Array, budget: Budget) -> Correction:
    """Correction towards the coordinate-wise median of me and my neighbors; of an even count, the middle two's mean."""
    return _middle(z, w, None)


def trimmed_mean(z: Array, w: Array, budget: Budget) -> Correction:
    """Correction towards the mean of me and my neighbors, each coordinate without its f lowest and f highest.

    Raises TooFewPeers if nothing would be left; a smaller f would be a smaller promise.  Under jax, where a count is
    not known beforehand, the correction is zero instead: I keep to my own model.
    """
    models = (np.count_nonzero(w > 0) if on_host(z) else len(z)) + 1
    if models <= 2 * budget.byzantine_max:
        raise TooFewPeers("trimmed_mean", int(models), 2 * budget.byzantine_max + 1)
    return _middle(z, w, budget.byzantine_max)


def _middle(z: Array, w: Array, trim: int | None) -> Correction:
    """The mean of {0} and z without `trim` ranks at each end, None: all but the middle one or two."""
    return _middle_on_host(z, w, trim) if on_host(z) else _middle_traced(z, w, trim)


# ---- numpy ----------------------------------------------------------------------------------------------------------


def _middle_on_host(z: Vector, w: Vector, trim: int | None) -> Correction:
    present = np.flatnonzero(w > 0)
    rows = z if len(present) == len(z) else z[present]                     # (m, d)
    models = len(rows) + 1
    cut = (models - 1) // 2 if trim is None else trim
    low, high = cut, models - 1 - cut
    large = rows.size >= _COMPILE_NUMBERS_MIN and models <= _COMPILE_ROWS_MAX
    vector = (_compiled_mean if large else _spans_mean)(network(models, low, high, in_order=False), rows)
    ranks = _ranks(network(models, low, high), _sample(rows))
    kept = np.zeros(len(z), np.float32)
    kept[present] = _share_within(_sample(rows), ranks[0], ranks[-1])
    return Correction(vector, kept)


def _spans_mean(net: Network, rows: Vector) -> Vector:
    """The mean of the network's outputs over {0} and rows (m, d), in spans of columns."""
    mean = np.empty(rows.shape[1], np.float32)
    for start in range(0, len(mean), SPAN):
        mean[start : start + SPAN] = _mean(_ranks(net, rows[:, start : start + SPAN]))
    return mean


def _ranks(net: Network, rows: Vector) -> list[Vector]:
    """The network's outputs over {0} and rows (m, s), s small enough for the cache; each (s,)."""
    scratch = np.empty((net.scratch + 1, rows.shape[1]), np.float32)
    scratch[0] = 0
    return run(net, [scratch[0], *rows], list(scratch[1:]), _smaller, _larger)


def _smaller(a: Vector, b: Vector, space: Vector) -> Vector:
    return np.minimum(a, b, out=space)


def _larger(a: Vector, b: Vector, space: Vector) -> Vector:
    return np.maximum(a, b, out=space)


def _mean(ranks: list[Any]) -> Any:
    return ranks[0] if len(ranks) == 1 else sum(ranks[1:], ranks[0]) * np.float32(1 / len(ranks))


def _compiled_mean(net: Network, rows: Vector) -> Vector:
    """The same by jax, which reads numpy's memory in place if it starts on a cache line.

    Few arrays do, and copying them would take ten times as long as the network.  So jax gets the flat memory from the
    first cache line on, cuts the rows out of it itself, and the fewer than 16 columns before that are numpy's.
    """
    flat = np.ascontiguousarray(rows).reshape(-1)
    lead = min(-(flat.ctypes.data // 4) % _LINE, rows.shape[1])
    body = _compile(net, rows.shape[1], lead)(flat[lead:])
    return np.concatenate([_spans_mean(net, rows[:, :lead]), body])


@lru_cache(maxsize=32)
def _compile(net: Network, d: int, lead: int) -> Any:
    """A jax function of the flat rows without their first `lead` numbers, (m * d - lead,) -> columns from lead on."""
    import jax
    import jax.numpy as jnp

    def mean(flat: Array) -> Array:
        rows = [flat[row * d : (row + 1) * d - lead] for row in range(net.rows - 1)]
        zero = jnp.zeros(d - lead, jnp.float32)
        return _mean(run(net, [zero, *rows], [zero] * net.scratch, *_picks(jnp)))

    return jax.jit(mean)


# ---- jax ------------------------------------------------------------------------------------------------------------


def _picks(jnp: Any) -> tuple[Any, Any]:
    """Minimum and maximum by comparing: half the instructions of jnp.minimum, which looks for NaN."""
    return lambda a, b, _: jnp.where(a < b, a, b), lambda a, b, _: jnp.where(a > b, a, b)


def _middle_traced(z: Array, w: Array, trim: int | None) -> Correction:
    """The same where the number of present rows is not known while tracing: which ranks enter is computed, too."""
    import jax.numpy as jnp

    present = w > 0                                                        # (n-1,)
    n, models = len(z) + 1, 1 + jnp.sum(present)
    cut = (models - 1) // 2 if trim is None else trim
    first, last = (n - models) // 2 + cut, (n - models) // 2 + models - 1 - cut      # ranks that enter, traced ...
    low, high = (max(0, n // 2 - 1), n // 2) if trim is None else (trim, n - 1 - trim)    # ... and where they can be
    net = network(n, low, high)
    ranks = _padded(net, low, z, present)
    total = sum(jnp.where((first <= rank) & (rank <= last), values, 0) for rank, values in ranks)
    sample = _sample(z)
    sampled = _padded(net, low, sample, present)
    lowest = sum(jnp.where(rank == first, values, 0) for rank, values in sampled)
    highest = sum(jnp.where(rank == last, values, 0) for rank, values in sampled)
    share = _share_within(sample, lowest, highest)
    return Correction(total / jnp.maximum(last - first + 1, 1), present * (first <= last) * share)


def _padded(net: Network, low: int, z: Array, present: Array) -> list[tuple[int, Array]]:
    """The network's ranks, counted from `low`, of {0} and z (n-1, s).

    Absent rows become +inf and -inf by turns: half of them, rounded down, rank below everybody present.
    """
    import jax.numpy as jnp

    absent = jnp.cumsum(~present)                                          # (n-1,), counted from the first row
    padding = jnp.where(absent % 2 == 1, jnp.inf, -jnp.inf)[:, None]       # (n-1, 1)
    rows = jnp.where(present[:, None], z, padding.astype(z.dtype))
    zero = jnp.zeros_like(z[0])
    return list(enumerate(run(net, [zero, *rows], [zero] * net.scratch, *_picks(jnp)), low))


# ---- both -----------------------------------------------------------------------------------------------------------


def _sample(z: Array) -> Array:
    """At most 256 evenly spaced columns of z."""
    return z[:, :: max(1, z.shape[1] // _SAMPLE)][:, :_SAMPLE]


def _share_within(z: Array, lowest: Array, highest: Array) -> Array:
    """In which share of its columns each row of z (n, s) lies from lowest to highest (s,), (n,).

    Taken on a sample: over all columns it would cost as much as the rule, and its reader looks at two digits.
    """
    return ((z >= lowest) & (z <= highest)).mean(axis=1)
