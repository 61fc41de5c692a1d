"""What an attack is: the same daemon as everybody's, with one of its parts replaced.

A liar trains on other examples, speaks for another learner, or decides by another machine; all else about it is honest.
Nothing outside this room knows of attacks.  Which there are is the table in __init__.py, who lies plan.py's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from gossipfl.config import Options
from gossipfl.protocol.peer import Peer
from gossipfl.protocol.setup import Setup

if TYPE_CHECKING:
    from gossipfl.learning.data import Shard
    from gossipfl.learning.learner import Learner
    from gossipfl.scenario.liars.witness import Eyes

Vector = npt.NDArray[np.float32]
Knock = Callable[[str], None]                            # open a connection to host:port and never finish its handshake


class Pact:
    """Whom the liars of a run copy, all of them the same, for they know each other.  In the order of agreement."""

    def __init__(self) -> None:
        self._named: list[str] = []

    def named(self) -> list[str]:
        return self._named

    def add(self, name: str) -> None:
        self._named.append(name)

    def first(self, seen: Sequence[str]) -> str | None:
        """Of the peers `seen` the one that was agreed on first; None where they never agreed on any of them."""
        return next((name for name in self.named() if name in seen), None)


@dataclass(slots=True)
class Notes:
    """What liars keep from round to round, whoever shows them: numbers for one model, and a pact."""

    pact: Pact = field(default_factory=Pact)
    along: Vector | None = None                          # (d,) unit, the direction in which the crowd differs most
    rounds: int = 0                                      # in which it was estimated,
    newest: int = -1                                     # the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a liar sees when it makes up the model that it shows in a round.

    Omniscient (virtual engine, arena): the honest models of this very round.  A daemon among daemons sees what it has
    heard, which is those of the round before.  With a victim the lie is for its eyes; without, it is for everybody's.
    """

    round: int
    seed: int                                            # the liar's own
    own: Vector                                          # (d,) its model, honestly trained
    before: Vector                                       # (d,) the model it had before this round's training
    start_norm: float                                    # length of the model that all began with
    honest: Vector                                       # (h, d) of the victim's honest neighbors, or all that I see
    weights: Vector                                      # (h,) that the victim gives them, 0 to strangers and itself
    share: float                                         # weight of all liars together at the victim
    liars: int                                           # among the victim's neighbors, this one included
    victim: Vector | None = None                         # (d,) the model of whom I lie to; None: one lie for all
    aimed: Vector | None = None                          # (d,) without a victim: of whom along and respond are
    along: Vector | None = None                          # (d,) spectral: (v_F)_i (v_F^T X), v_F the Fiedler vector
    respond: Callable[[Vector], Vector] | None = None    # (d,) what all liars show -> the victim's next model
                                                         # None: the rule is unseen
    past: tuple[Vector, ...] = ()                        # my models of earlier rounds, as far as kept, newest first
    names: tuple[str, ...] = ()                          # (c,) whose the models of the crowd are; (): not known
    notes: Notes | None = None                           # what was kept so far, written to by craft; None: nothing is

    @property
    def crowd(self) -> Vector:
        """(c, d), c >= 1: all honest models in sight, the victim's last; my own where I see nobody's."""
        if self.victim is not None:
            return np.vstack([self.honest, self.victim])
        return self.honest if len(self.honest) else self.own[None]

    @property
    def center(self) -> Vector:
        """(d,): the mean of the crowd."""
        mean: Vector = self.crowd.mean(axis=0)
        return mean

    @property
    def spread(self) -> Vector:
        """(d,): the standard deviation of the crowd, coordinate by coordinate."""
        sigma: Vector = self.crowd.std(axis=0)
        return sigma

    @property
    def aim(self) -> Vector:
        """(d,): the victim's model, or its on whom the lie is measured; the center of the crowd where there is none."""
        chosen = self.aimed if self.victim is None else self.victim
        return self.center if chosen is None else chosen


class Attack(Options):
    """The options of an attack are its fields.  An attack replaces the learner, the examples or the protocol's machine.

    Fields are checked in `__post_init__` by ValueError, which config.parse turns into ConfigError.
    """

    unseen: ClassVar[tuple[str, float] | None] = None    # its option for a strength, and what stands for "worst" where
                                                         # no rule can be asked

    def check(self, classes: int) -> None:
        """Raises ConfigError for options that make no sense of a model that tells so many classes apart."""

    def learner(self, honest: Learner, seed: int, eyes: Eyes | None = None) -> Learner:
        """What trains and speaks for the liar.  `seed` is the liar's own; without `eyes` it sees nobody but itself."""
        return honest

    def shard(self, shard: Shard, classes: int) -> Shard:
        """The examples that the liar trains on."""
        return shard

    def craft(self, sight: Sight) -> Vector:
        """(d,) float32: the model that the liar shows instead of its own.

        The same sight gives the same lie; what is to be remembered goes into sight.notes.
        """
        return sight.own

    @property
    def sees(self) -> bool:
        """Does it make up models, for which it wants to see those of others?"""
        return False

    def lies_in(self, round: int) -> bool:
        """Whether it lies in this round; in others it behaves as honest peers do."""
        return True

    def peer(self, setup: Setup, now: float, knock: Knock) -> Peer:
        """The machine that decides for the liar.  `knock` is performed by whichever shell runs it."""
        return Peer(setup, now)
