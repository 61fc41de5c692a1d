"""How neighbors' models enter mine: screened, seen by the rule, and what it made of each concluded.

    models p_j - p -> z -> screen -> rule(z, w, budget, about) -> gamma * correction, a verdict per neighbor

Decides what the rule is told besides the differences: only what it needs, because losses and updates cost time.
Whose models these are, and what a round is, is node/worker.py's business; the rules are in aggregation/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gossipfl import aggregation
from gossipfl.errors import ConfigError, TooFewPeers
from gossipfl.identity import PeerId
from gossipfl.learning.learner import Gauging, Learner
from gossipfl.node.ruling import Ruling
from gossipfl.node.verdicts import Verdict, of_rule

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The models that may enter mine in a round."""

    round: int
    rounds: int                                          # of the whole training, 0: endless
    own: Vector                                          # (d,) my public model, the origin of the differences
    peers: Sequence[PeerId]
    models: Sequence[Vector]                             # of each peer (d,), its public model
    weights: Sequence[float]                             # of each peer, above 0
    seed: int                                            # of what the rule draws
    catching_up: bool = False                            # mine is a model of another time
    before: Vector | None = None                         # (d,) my model before this round's local steps


@dataclass(frozen=True, slots=True)
class Mixing:
    """What came of it."""

    step: Vector | None                                  # (d,) to be added to my model; None: it stays as it is
    verdicts: tuple[Verdict, ...]                        # on each of the peers, in their order
    distance: float | None                               # root mean square over the screened of |p_j - p|
    told: tuple[str, ...] = ()                           # why nothing was mixed, if so


def mix(heard: Heard, ruling: Ruling, learner: Learner) -> Mixing:
    """The step that the rule in force makes of the models heard, and what it concludes of each."""
    rules = ruling.rules
    z = aggregation.differences(heard.own, heard.models)
    own_norm = aggregation.norm(heard.own)
    screened = aggregation.screen(z, own_norm, rules.distance_ratio_max)
    refused = [
        Verdict(peer, distance if np.isfinite(distance) else None, 0.0, "screened", why)
        for peer, distance, why in zip(heard.peers, screened.distances, screened.reasons, strict=True)
        if why is not None
    ]
    left = np.flatnonzero(screened.keep).tolist()
    if not left:
        return Mixing(None, tuple(refused), None, ("! not mixed: no neighbor's model is here",))
    near, apart = z if not refused else z[screened.keep], [screened.distances[place] for place in left]
    distance = float(np.sqrt(np.mean(np.square(apart))))
    weights = np.array([heard.weights[place] for place in left], np.float32)
    try:
        about = _about(heard, left, own_norm, ruling.needs, learner)
        rule, budget = ruling.of_round(apart, catching_up=heard.catching_up)
        correction = aggregation.mix(near, weights, rule, budget, about, rules.pre)
    except TooFewPeers as error:
        return Mixing(None, tuple(refused), distance, (f"! not mixed: {error}",))
    step = np.asarray(correction.vector, np.float32) * np.float32(rules.gamma)
    concluded = of_rule([heard.peers[place] for place in left], apart, np.asarray(correction.kept))
    return Mixing(step, (*refused, *concluded), distance)


def check_learner(ruling: Ruling, learner: Learner) -> None:
    """Raises ConfigError if the rule asks what this learner cannot say."""
    if "losses" in ruling.needs and not isinstance(learner, Gauging):
        raise ConfigError(
            f"{ruling.rules.rule} asks for the loss of neighbors' models on own examples, which "
            f"{type(learner).__name__} does not say: give it the method `gauge` of learning/learner.py, or choose "
            "another rule",
            "aggregation.rule",
        )


def _about(
    heard: Heard, left: Sequence[int], own_norm: float, needs: frozenset[str], learner: Learner
) -> aggregation.About:
    """What the rule may know; losses and my update only where it needs them.  left: who passed the screen."""
    losses, own_loss, update = None, None, None
    if "losses" in needs:
        assert isinstance(learner, Gauging), "checked when the learner was built"
        own_loss, *others = learner.gauge([heard.own, *(heard.models[place] for place in left)], heard.round)
        losses = np.array(others, np.float32)
    if "update" in needs and heard.before is not None:
        update = np.subtract(learner.vector(), heard.before, dtype=np.float32)
    return aggregation.About(
        round=heard.round, rounds=heard.rounds, own_norm=own_norm, own_update=update,
        losses=losses, own_loss=own_loss, seed=heard.seed,
    )  # fmt: skip
