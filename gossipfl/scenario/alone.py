"""What the run is measured by: final models on the common test set and on marked examples, and every peer's alone twin.

Collaboration is worth what it adds to the alone twin: a peer with the same examples, initial model, batch order and
local steps that never mixes, for as many rounds as the run came to.  Measured after the run, so that it takes no time
from the peers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gossipfl.scenario.learners import honest_learner, prepare_jax, shards_of
from gossipfl.scenario.liars.backdoor import Backdoor
from gossipfl.scenario.outcome import Outcome
from gossipfl.scenario.plan import Peer, Plan, attack_of
from gossipfl.scenario.progress import LINE_EVERY_S

if TYPE_CHECKING:
    from gossipfl.learning.data import Shard
    from gossipfl.learning.learner import Learner

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Accuracies on the common test set, 0..1, by the peer's number."""

    size: int                                   # d, the number of parameters
    final: dict[int, float]                     # of every peer that left a model
    alone: dict[int, float]                     # of every honest peer's twin
    of_mean_model: float | None                 # of the mean of the finished honest peers' models, if there are any
    backdoor_success: float | None = None       # mean over them; None where no liar set a backdoor


def check_data(plan: Plan) -> None:
    """Raises DataError or ConfigError if the peers could not load their examples, or this process their learner."""
    (shard,) = shards_of(plan, plan.peers[:1])
    if plan.spec.model.name == "custom":
        honest_learner(plan, plan.peers[0], shard)


def judge(
    plan: Plan, outcomes: Sequence[Outcome], tell: Callable[[str], object] = lambda sentence: None,
    every_s: float = LINE_EVERY_S,
) -> Judged:  # fmt: skip
    """Measure the models that `outcomes` hold and train the twins; every `every_s`, `tell` how far they are."""
    prepare_jax(plan)
    shards = shards_of(plan, plan.honest)
    measure = honest_learner(plan, plan.honest[0], shards[0])
    vectors = {outcome.peer.number: outcome.vector for outcome in outcomes if outcome.vector is not None}
    final = {number: _accuracy(measure, vector) for number, vector in vectors.items()}
    honest = honest_vectors(outcomes)
    rounds = max((one.rounds for one in outcomes if one.peer.liar is None), default=0)
    return Judged(
        size=measure.size,
        final=final,
        alone=_alone_all(plan, shards, rounds, tell, every_s),
        of_mean_model=_accuracy(measure, np.mean(honest, axis=0, dtype=np.float32)) if len(honest) else None,
        backdoor_success=_backdoor_success(plan, shards[0], honest),
    )


def honest_vectors(outcomes: Sequence[Outcome]) -> list[Vector]:
    """The final models, (d,) each, of the honest peers that finished."""
    return [one.vector for one in outcomes if one.finished and one.peer.liar is None and one.vector is not None]


def _backdoor_success(plan: Plan, shard: Shard, models: Sequence[Vector]) -> float | None:
    """How often `models` answer a marked test example of another class with the target; of several backdoors the worst.

    Such an example counts as correct when it is answered with the target, so accuracy is success.
    """
    traps = [attack.trap(shard.test) for peer in plan.liars if isinstance(attack := attack_of(peer), Backdoor)]
    successes = []
    for trap in traps if models else ():
        if len(trap):
            learner = honest_learner(plan, plan.honest[0], replace(shard, test=trap))
            successes.append(float(np.mean([_accuracy(learner, vector) for vector in models])))
    return max(successes, default=None)


def _alone_all(
    plan: Plan, shards: Sequence[Shard], rounds: int, tell: Callable[[str], object], every_s: float
) -> dict[int, float]:
    """All twins after `rounds` rounds, as many at a time as there are cores: training lets go of the interpreter."""
    stopped, trained = threading.Event(), list[int]()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            coming = [
                threads.submit(_alone, plan, rounds, stopped, trained, *pair)
                for pair in zip(plan.honest, shards, strict=True)
            ]
            while wait(coming, every_s, FIRST_EXCEPTION).not_done:
                done = [one.result() for one in coming if one.done()]
                share = len(trained) / max(rounds * len(coming), 1)
                tell(f"alone: {len(done)} of {len(coming)} peers done, {share:.0%} of their rounds")
            accuracies = [one.result() for one in coming]
        except BaseException:                       # Ctrl-C: the pool waits for its threads, so tell them
            stopped.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return dict(zip((peer.number for peer in plan.honest), accuracies, strict=True))


def _alone(
    plan: Plan, rounds: int, stopped: threading.Event, trained: list[int], peer: Peer, shard: Shard
) -> float:  # fmt: skip
    """The accuracy of a twin; every round that it does is put into `trained`."""
    learner = honest_learner(plan, peer, shard)
    for round in range(rounds):
        if stopped.is_set():
            break
        learner.train(round)
        trained.append(round)
    return learner.evaluate().accuracy


def _accuracy(learner: Learner, vector: Vector) -> float:
    learner.load(vector)
    return learner.evaluate().accuracy
