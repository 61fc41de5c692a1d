"""The setting of most published tables: one server, one model, n clients, some of whom lie about their momentum.

    model -> every client's gradient -> its momentum m_k = beta m_k + g_k -> liars' rows replaced -> a rule -> model

gossipfl has no server; this is here to set its rules beside printed figures (Karimireddy, He, Jaggi 2022).  Rules of
sets see the n rows with the first of them as origin, which changes nothing, because all rules move with their input.
Rules that are centered on oneself take the server's previous aggregate for self.  Centered clipping begins there, as in
its paper, where that is no member.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from gossipfl.aggregation import PRE, RULES, About, differences, mix
from gossipfl.aggregation.center import centered_clipping
from gossipfl.aggregation.mixing import prepared
from gossipfl.scenario.arena.learning import Gradients, Task, poisoned
from gossipfl.scenario.arena.rounds import Method
from gossipfl.scenario.liars.attack import Attack, Notes, Sight, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The last `liars` of task.parts' clients lie."""

    task: Task
    method: Method
    attack: Attack | None
    liars: int
    iterations: int
    gradients: Callable[[Task], Gradients] = Gradients   # how clients learn
    beta: float = 0.9                                    # honest clients' momentum
    seed: int = 0


def serve(contest: Contest, watch: Callable[[int, Vector], bool] | None = None) -> Vector:
    """The server's model (d,) after all iterations; `watch` may end them by saying True."""
    task, liars = contest.task, range(len(contest.task.parts) - contest.liars, len(contest.task.parts))
    bent = task if contest.attack is None else poisoned(task, dict.fromkeys(liars, contest.attack))
    slopes, model = contest.gradients(bent), task.start()
    momenta, aggregate = np.zeros((len(task.parts), len(model)), np.float32), np.zeros_like(model)
    start_norm = float(np.linalg.norm(model))
    kept = np.full((len(task.parts), 1), contest.beta, np.float32)
    kept[list(liars)] = 0                                # a liar's gradient is fresh, as in the published code
    rate, notes = np.float32(task.training.learning_rate), Notes()
    for iteration in range(contest.iterations):
        momenta = kept * momenta + slopes(model, iteration)
        shown = _shown(contest, momenta, aggregate, iteration, start_norm, notes)
        aggregate = aggregated(contest, shown, aggregate, iteration)
        model = model - rate * aggregate
        if not np.isfinite(model @ model) or (watch is not None and watch(iteration, model)):
            break
    return model


def aggregated(contest: Contest, rows: Vector, previous: Vector, iteration: int) -> Vector:
    """What the server makes of the clients' rows (n, d), (d,)."""
    method, n = contest.method, len(rows)
    origin, others = (rows[0], rows[1:]) if RULES[method.rule].is_set else (previous, rows)
    about = About(round=iteration, rounds=contest.iterations, own_norm=float(np.linalg.norm(origin)), seed=contest.seed)
    if method.rule == "centered_clipping":
        return previous + _clipped(method, rows - previous, about)
    weights = np.full(len(others), 1 / n, np.float32)
    found = mix(differences(origin, list(others)), weights, method.rule, method.budget, about, method.pre)
    return np.asarray(origin + found.vector, np.float32)


def _clipped(method: Method, z: Vector, about: About) -> Vector:
    """What centered clipping makes of the clients' differences z (n, d) to where it begins, which is no client, (d,).

    `mix` would count that place as a member more and take n / (n + 1) of every step.
    """
    gram, steps = (z @ z.T).astype(np.float64), [PRE[name] for name in method.pre]
    made, here = prepared(steps, method.budget, gram, np.ones(len(z), bool), about)
    matrix = np.eye(len(z)) if made is None else made
    c = centered_clipping(matrix @ gram @ matrix.T, here, method.budget, about) @ matrix      # (n,)
    return np.asarray(c.astype(np.float32) @ z)


def _shown(
    contest: Contest, momenta: Vector, aggregate: Vector, iteration: int, start_norm: float, notes: Notes
) -> Vector:
    """momenta (n, d) with the liars' rows replaced by what they say."""
    attack, n, f = contest.attack, len(momenta), contest.liars
    if attack is None or not f:
        return momenta
    honest = momenta[: n - f]
    sight = partial(
        Sight, round=iteration, honest=honest, weights=np.full(n - f, 1 / n, np.float32), share=f / n, liars=f,
        start_norm=start_norm, names=tuple(map(str, range(n - f))), notes=notes,
        respond=partial(_respond, contest, honest, aggregate, iteration),
    )  # fmt: skip
    still = np.zeros_like(aggregate)                     # before this update there was none: a lie is about the update
    lies = [
        attack.craft(sight(seed=contest.seed * 1_000_003 + liar, own=momenta[liar], before=still))
        for liar in range(n - f, n)
    ]
    return np.vstack([honest, *lies])


def _respond(contest: Contest, honest: Vector, aggregate: Vector, iteration: int, lie: Vector) -> Vector:
    return aggregated(contest, np.vstack([honest, *[lie] * contest.liars]), aggregate, iteration)
