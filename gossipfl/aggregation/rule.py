"""What a rule of aggregation takes and gives, and how it learns which array library it runs on.

A rule sees only differences: row j of z is neighbor j's public model minus mine, so I am the origin and no rule can
depend on where the models lie.  Most rules never look at coordinates: they weigh the neighbors by what geometry.py
measures of them, and the correction is one weighted sum of rows.  The others (coordinate.py) rank the numbers of every
coordinate.  The daemon calls all of this with numpy arrays, the array engine under jax.jit and jax.vmap; jax is
imported only in the second case.  The table of rules is in table.py, what is done before a set rule in pre.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = Any                                   # numpy in the daemon, jax (traced, too) in the array engine
Vector: TypeAlias = npt.NDArray[np.float32]

SPAN = 16_384                                            # columns worked on at a time by numpy: 20 rows stay in cache


class Budget(NamedTuple):
    """What a rule must withstand.  Hashable, so that it can be a static argument of jax.jit."""

    byzantine_max: int = 0                               # liars among the neighbors
    clip_radius: float = 1.0                             # clipping: length beyond which a difference is shortened
    clip_decay: float = 1.0                              # clipping: the radius is multiplied by this every round
    bucket_size: int = 2                                 # bucketing: s of Karimireddy et al. 2022
    self_weight: float = 0.5                             # ubar, balance: alpha, how much of me stays
    momentum: float = 0.0                                # centered_clipping: beta of the peers' local steps
    clip_steps: int = 1                                  # centered_clipping: its authors need no more than one


class About(NamedTuple):
    """What a rule may know besides the differences.  Which rule needs what is in its RuleSpec."""

    round: Any = 0                                       # mine; an int, or traced by jax
    rounds: int | None = None                            # how many there will be; None and 0: nobody knows
    own_norm: Any = None                                 # length of my model
    own_update: Array = None                             # (d,) my model minus the one I began this round with
    losses: Array = None                                 # (n,) of the neighbors' models on my examples ...
    own_loss: Any = None                                 # ... and of mine
    seed: int = 0                                        # of my dice


class Correction(NamedTuple):
    """Where the neighbors pull me: the step of gamma = 1."""

    vector: Array                                        # (d,) float32, to be read only: it may be a row of z
    kept: Array                                          # (n,) float32 in 0..1: how much of each difference entered


class Seen(NamedTuple):
    """What is measured of z (n, d) before a rule weighs, None where it was not asked for.

    Member 0 is me, member j + 1 is neighbor j; m = n + 1.
    """

    w: Array                                             # (n,) mixing weights, 0 of the absent
    here: Array                                          # (m,) bool: me and those present
    lengths: Array = None                                # (n,) |z_j|; inf of the absent
    gram: Array = None                                   # (m, m) inner products of {0, z}; 0 of the absent
    samples: Array = None                                # (t, m, m) the same of t random choices of columns
    own: Array = None                                    # (m + 1,) of own_update with {0, z} and with itself


class Weighed(NamedTuple):
    """The correction is sum_j c_j z_j."""

    c: Array                                             # (n,)
    kept: Array                                          # (n,) in 0..1
    own: Any = 0.0                                       # times own_update, added to it


Looks: TypeAlias = Literal["nothing", "lengths", "gram", "steps", "samples", "own"]
Weigh: TypeAlias = Callable[[Seen, Budget, About], Weighed]            # a weighted rule: bound to me and my weights
Choose: TypeAlias = Callable[[Array, Array, Budget, About], Array]     # a set rule: gram, here -> c of the members (m,)


class Ranks(NamedTuple):
    """What a coordinate rule averages in every coordinate of the present members."""

    near: bool                                           # those nearest to the median, or those in the middle
    drop: Callable[[Budget], int | None]                 # how many not: in all, or at each end; None: nearly all


class RuleSpec(NamedTuple):
    """A rule: exactly one of weigh and choose, or ranks (then choose says among whom, everybody without it)."""

    models_min: Callable[[int], int]                     # byzantine_max -> models, mine included, that it needs
    looks: Looks = "gram"
    weigh: Weigh | None = None
    choose: Choose | None = None
    ranks: Ranks | None = None
    needs: frozenset[str] = frozenset()                  # of budget, losses, update, rounds, norm

    @property
    def is_set(self) -> bool:
        """Whether members count alike, me among them, so that something may be done to them before (pre.py)."""
        return self.weigh is None


class PreSpec(NamedTuple):
    """What is done before a set rule, as a matrix: row i of the new members is sum_j A_ij (row j of the old)."""

    matrix: Choose                                       # gram (m, m), here (m,) -> A (m', m)
    after: Callable[[int, Budget], int]                  # models before -> models after
    regroups: bool = False                               # new members are groups of old ones, and some may be empty

    def here_after(self, step: Array, here: Array) -> Array:
        """Which of the new members are there, (m',) bool: a row of zeros is an empty group, or a model like mine."""
        return (step != 0).any(axis=1) if self.regroups else here


def on_host(z: Array) -> bool:
    """Numpy now, or jax (perhaps traced)?"""
    return isinstance(z, np.ndarray)


def library(array: Array) -> Any:
    """numpy or jax.numpy, whichever the array is of."""
    return array.__array_namespace__()


def differences(own: Vector, others: Sequence[Vector]) -> Vector:
    """z (n, d): each of `others` minus `own`, in memory that jax can read without a copy (64-byte aligned)."""
    n, d = len(others), own.size
    raw = np.empty(4 * n * d + 64, np.uint8)
    start = -raw.ctypes.data % 64
    z = raw[start : start + 4 * n * d].view(np.float32).reshape(n, d)
    with np.errstate(over="ignore"):                     # an infinite difference is for screen.py to refuse
        for row, other in zip(z, others, strict=True):
            np.subtract(other, own, out=row)
    return z
