"""What the studies that learn have in common: a model and its training by name, and a cell's match as it is played.

A rule is "rule", "pre+rule", "auto", "damage_limited" (self-centered clipping with a measured radius) or "alone".
"""

from __future__ import annotations

import random
from collections.abc import Collection
from math import prod
from typing import Literal

from gossipfl.aggregation import Budget
from gossipfl.config import ModelConfig, TrainingConfig
from gossipfl.overlay import Edge
from gossipfl.scenario.arena import Match, World, among
from gossipfl.scenario.arena.defense import Defense, defend
from gossipfl.scenario.arena.examples import deal, load
from gossipfl.scenario.arena.learned import Played, learn
from gossipfl.scenario.arena.learning import Task
from gossipfl.scenario.liars.attack import Attack
from gossipfl.scenario.placement import place
from studies.cells import Value

MODELS: dict[str, tuple[Literal["mlp", "cnn", "softmax"], tuple[int, ...]]] = {      # inputs are the data's
    "mlp": ("mlp", (100,)), "mlp128": ("mlp", (128,)), "cnn": ("cnn", (16, 32, 64)), "softmax": ("softmax", ()),
}  # fmt: skip
DATASETS = {"mnist": (28, 28, 1), "digits": (8, 8, 1)}
ALONE = "alone"


def model_of(name: str, data: str = "mnist") -> ModelConfig:
    """A model of MODELS for the images of DATASETS."""
    kind, hidden = MODELS[name]
    shape = DATASETS[data]
    return ModelConfig(name=kind, inputs=shape if kind == "cnn" else (prod(shape),), hidden=hidden)


def task_of(
    model: str, training: TrainingConfig, split: str, peers: int, seed: int, alpha: float = 0.5,
    parts: int | None = None, data: str = "mnist",
) -> Task:  # fmt: skip
    """The data dealt to `peers`; with `parts` it is cut into more of them, and the last are nobody's."""
    config = model_of(model, data)
    train, test = load(data, config)
    dealt = deal(split, train.y, parts or peers, seed, alpha=alpha)[:peers]
    return Task(model=config, training=training, train=train, test=test, parts=dealt, seed=seed)


def liars_of(placement: str, count: int, n: int, edges: Collection[Edge], seed: int) -> list[int]:
    dice = random.Random(f"gossipfl/1/liars/{seed}")
    return sorted(place(placement, range(n), count, n, sorted(edges), dice))


def played(
    world: World, task: Task, rule: str, declared: int, attack: Attack | None, rounds: int, seed: int,
    budget: Budget = Budget(),  # noqa: B008
) -> tuple[Played, Defense]:  # fmt: skip
    """The match of a world whose honest peers use `rule` against `declared` liars among their neighbors."""
    if rule == ALONE:
        world, rule = among(world.n, (), world.liars), "mean"
    defense = defend(rule, world, declared, budget)
    match = Match(world=world, method=defense.method, attack=attack, rounds=rounds, seed=seed)
    return learn(match, task), defense


def ended(found: Played, defense: Defense, judged: int | None = None) -> dict[str, Value]:
    """What a match came to: accuracies of the honest, each on so many test examples, and what defended them."""
    outcome = found.outcome(judged)
    return {
        "of_mean": outcome.of_mean, "peer_mean": outcome.mean, "peer_min": outcome.min,
        "disagreement": outcome.disagreement, "success": outcome.success, **defended(defense),
    }  # fmt: skip


def defended(defense: Defense) -> dict[str, Value]:
    """What the honest did, as they chose it, and what may be said of it."""
    used = "+".join((*defense.method.pre, defense.method.rule))
    return {"used": used, "standing": defense.standing, "why": defense.why}
