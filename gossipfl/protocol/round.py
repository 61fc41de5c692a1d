"""When a round begins, how long it waits, and what it mixes.

    waiting -> training -> collecting -> mixing -> training ... -> done

A round is a peer's own.  `synchronous` waits for this round's update of every linked neighbor.  `asynchronous` gives a
neighbor a few times my own busy time - training, mixing and the fetching of payloads - and then goes on without it; one
known to be slower than that is not waited for at all, and its newest model is mixed whenever it comes.  Staleness is
counted in my rounds since a neighbor's newest model arrived, so nobody can lie about it.  Whoever wakes up in another
time (a newcomer, a sleeper) takes its neighbors' models and their median round first, and trains then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from statistics import median, median_low

from gossipfl.config import RoundConfig
from gossipfl.identity import PeerId
from gossipfl.protocol.events import Contribution, Mix, Train, Update

_SETTLE_S = 0.1                      # after enough neighbors are there: their introductions are still on the way
_BUSY_ROUNDS = 5                     # my busy time is the median of so many rounds; the first one compiles
_PACE_ROUNDS = 5                     # so is a neighbor's interval


class Phase(Enum):
    STARTING = "starting"            # the learner is being built
    WAITING = "waiting"              # for the first neighbors
    TRAINING = "training"
    COLLECTING = "collecting"
    MIXING = "mixing"
    DONE = "done"


@dataclass(slots=True)
class Pace:
    """What I measured of one neighbor."""

    arrived_at: float | None = None  # its newest update
    intervals: deque[float] = field(default_factory=lambda: deque(maxlen=_PACE_ROUNDS))
    round: int | None = None         # its own count, a claim
    refreshed: int = -1              # my round in which its newest model arrived
    degree: int = 1                  # a claim
    is_done: bool = False
    lags: bool = False               # at my last mixing its round was behind mine

    def arrived(self, update: Update, my_round: int, now: float) -> None:
        if self.arrived_at is not None:
            self.intervals.append(now - self.arrived_at)
        self.arrived_at, self.round, self.refreshed = now, update.manifest.round, my_round
        self.degree = update.manifest.degree

    def slowness_s(self, now: float) -> float:
        """Seconds between its updates, as far as I know: silence counts."""
        assert self.arrived_at is not None
        return max(self.interval_s or 0.0, now - self.arrived_at)

    @property
    def interval_s(self) -> float | None:
        """Between its updates.  The median, because its first interval holds a compilation and any one a pause."""
        return median(self.intervals) if len(self.intervals) > 1 else None


@dataclass(slots=True)
class Round:
    """My own round and my neighbors' paces."""

    options: RoundConfig
    phase: Phase = Phase.STARTING
    number: int = 0
    begin_at: float | None = None                    # enough neighbors are there; the round begins at this time
    waiting_since: float = 0.0
    published_at: float = 0.0
    trained_s: float = 0.0
    catching_up: bool = False
    first: int = 0                                   # my first round since this start
    busy: deque[float] = field(default_factory=lambda: deque(maxlen=_BUSY_ROUNDS))
    paces: dict[PeerId, Pace] = field(default_factory=dict)
    done_at: float = float("inf")

    # ------------------------------------------------------------------------------------------ starting

    def ready(self, number: int, now: float) -> None:
        self.number = self.first = number
        self.phase, self.waiting_since = Phase.WAITING, now

    @property
    def is_over(self) -> bool:
        return bool(self.options.rounds) and self.number >= self.options.rounds

    def begin(self, neighbors: int, is_behind: bool, now: float) -> list[Train]:
        """Start the first round if it is time; a newcomer collects before it trains."""
        if self.phase is not Phase.WAITING:
            return []
        enough = neighbors >= self.options.start_neighbors
        if not enough:
            self.begin_at = None
        elif self.begin_at is None:
            self.begin_at = now + _SETTLE_S
        out_of_patience = now >= self.waiting_since + self.options.start_wait_s
        if not (enough and self.begin_at is not None and now >= self.begin_at) and not out_of_patience:
            return []
        if is_behind:
            self.catching_up, self.phase, self.published_at, self.trained_s = True, Phase.COLLECTING, now, 0.0
            return []
        return [self._train()]

    def joined(self, peer: PeerId) -> None:
        self.paces.setdefault(peer, Pace())

    def left(self, peer: PeerId) -> None:
        self.paces.pop(peer, None)

    # ---------------------------------------------------------------------------------------- collecting

    def trained(self, busy_s: float, now: float) -> None:
        self.trained_s, self.published_at, self.phase = busy_s, now, Phase.COLLECTING

    def patience_s(self, fetch_s: float) -> float:
        """How long I wait for a neighbor after my own update is out."""
        if self.options.mode == "synchronous" or self.catching_up or not self.busy:
            return self.options.deadline_s
        own_s = self.options.patience * (median(self.busy) + fetch_s)
        return min(max(own_s, self.options.grace_s), self.options.deadline_s)

    def awaited(self, owed: Callable[[PeerId], bool], fetch_s: float, now: float) -> list[PeerId]:
        """Neighbors whose update this round still waits for."""
        patience_s = self.patience_s(fetch_s)
        if now >= self.published_at + patience_s:
            return []
        return [peer for peer, pace in self.paces.items() if self._awaits(pace, owed(peer), patience_s, now)]

    def _awaits(self, pace: Pace, is_owed: bool, patience_s: float, now: float) -> bool:
        if self.catching_up:
            return pace.refreshed < self.number and is_owed
        if pace.is_done and not is_owed:
            return False
        if pace.arrived_at is None:                  # never heard: waited for at the start only
            return self.options.mode == "synchronous" or self.number == self.first
        if pace.round is not None and pace.round >= self.number:
            return False
        if self.options.mode == "synchronous":
            return True
        has_news = pace.refreshed >= self.number
        is_slow = pace.slowness_s(now) > patience_s and self.number > self.first
        return not is_slow and not (pace.lags and has_news)

    # -------------------------------------------------------------------------------------------- mixing

    def mix(
        self,
        take: Callable[[PeerId, int | None], tuple[Update, ...]],
        late: Iterable[PeerId],
        degree_max: int,
        now: float,
    ) -> Mix:
        """Close the collection: every neighbor with a fresh enough model, and who was late or stale."""
        contributions, stale = [], []
        for peer in sorted(self.paces):
            pace = self.paces[peer]
            updates = take(peer, None if self.catching_up else self.number)
            pace.lags = pace.round is not None and pace.round < self.number
            if pace.arrived_at is None:
                continue
            staleness = self.number - pace.refreshed
            if staleness > self.options.staleness_rounds_max:
                stale.append(peer)
            weight = self._weight(pace, degree_max)
            fresh_enough = staleness <= self.options.staleness_rounds_max
            contributions.append(Contribution(peer, updates, weight if fresh_enough else 0.0, staleness))
        self.phase = Phase.MIXING
        heard = sum(bool(contribution.updates) for contribution in contributions)
        return Mix(
            self.number, tuple(contributions), len(self.paces), heard, tuple(late), tuple(stale),
            self.trained_s, now - self.published_at, self.catching_up,
        )  # fmt: skip

    def _weight(self, pace: Pace, degree_max: int) -> float:
        """Metropolis-Hastings, from claimed degrees; whoever catches up takes the plain mean of its neighbors."""
        if self.catching_up:
            return 1.0 / max(len(self.paces), 1)
        theirs = min(max(pace.degree, 1), degree_max)
        return 1.0 / (1 + max(len(self.paces), theirs))

    def mixed(self, busy_s: float, now: float) -> list[Train]:
        """The next round, or the end.  Whoever is far behind jumps to its neighborhood's time."""
        if not self.catching_up:
            if self.number > self.first:
                self.busy.append(self.trained_s + busy_s)
            self.number += 1
        self.number = max(self.number, self.time_of_neighborhood() if self._is_behind() or self.catching_up else 0)
        self.catching_up = False
        if self.is_over:
            self.finish(now)
            return []
        return [self._train()]

    def finish(self, now: float) -> None:
        self.phase, self.done_at = Phase.DONE, now

    def time_of_neighborhood(self) -> int:
        """The lower median of my own and my neighbors' rounds: a minority of liars cannot move it past the honest."""
        return median_low([self.number, *(pace.round + 1 for pace in self.paces.values() if pace.round is not None)])

    def _is_behind(self) -> bool:
        return self.time_of_neighborhood() - self.number > self.options.staleness_rounds_max

    def _train(self) -> Train:
        self.phase = Phase.TRAINING
        return Train(self.number)

    def due(self, fetch_s: float) -> float:
        if self.phase is Phase.WAITING:
            return min(self.begin_at or float("inf"), self.waiting_since + self.options.start_wait_s)
        if self.phase is Phase.COLLECTING:
            return self.published_at + self.patience_s(fetch_s)
        return self.done_at + self.options.linger_s if self.phase is Phase.DONE else float("inf")
