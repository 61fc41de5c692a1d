"""Scenarios, plans and outcomes made by hand, for tests of this room."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np

from gossipfl.learning.learner import Metrics, TrainReport
from gossipfl.learning.sketch import sketch
from gossipfl.node.store import RoundRow
from gossipfl.scenario import spec
from gossipfl.scenario.outcome import Outcome, Ran
from gossipfl.scenario.plan import make

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TINY = {
    "scenario": {"name": "tiny", "rounds": 3, "timeout_s": 60.0},
    "peers": {"count": 3},
    "data": {"source": "digits"},
    "model": {"name": "custom", "learner": "numpy_softmax:build", "inputs": [64], "hidden": [], "classes": 10},
    "round": {"grace_s": 10.0, "linger_s": 2.0},
}


class Steps:
    """An honest learner that moves by a fixed step a round."""

    def __init__(self, start=(0, 0, 0), step=1):
        self.x, self.step, self.trained = np.array(start, np.float32), np.float32(step), 0

    @property
    def size(self):
        return len(self.x)

    def vector(self):
        return self.x.copy()

    def load(self, vector):
        self.x = np.array(vector, np.float32)

    def train(self, round):
        self.x, self.trained = self.x + self.step, self.trained + 1
        return TrainReport(1.0, 1, 10)

    def evaluate(self):
        return Metrics(float(self.x[0] > 0), 0.0, 1)


def tables(**sections):
    """The tables of a tiny scenario; ``peers={"count": 4}`` changes a section, ``liar=[...]`` replaces one."""
    made = copy.deepcopy(TINY)
    for name, section in sections.items():
        made[name] = {**made.get(name, {}), **section} if isinstance(section, dict) else section
    return made


def a_scenario(**sections):
    return spec.parse(tables(**sections), "tiny.toml")


def a_row(round, **changes):
    row = RoundRow(
        round=round, time_s=1000.0 + round, accuracy=0.5, loss=1.0, train_loss=1.0, expected=2, heard=2, late=0,
        refused=0, bytes_sent=100 * (round + 1), control_bytes_sent=10 * (round + 1), rss_mb=50.0, busy_s=0.5,
        wait_s=0.25, distance=0.0, sketch=sketch(np.zeros(4, np.float32), 0).tobytes(),
    )  # fmt: skip
    return replace(row, **changes)


def outcomes_of(scenario, vectors, rows=None, **changes):
    """A plan and an outcome for each of its peers, with final `vectors` and per peer `rows` (default: all rounds)."""
    plan = make(scenario)
    rounds = scenario.scenario.rounds
    rows = rows or [[a_row(round) for round in range(rounds)] for _ in plan.peers]
    made = [
        Outcome(peer=peer, rows=own, vector=vector, exit_code=0, **changes.get(f"peer{peer.number}", {}))
        for peer, own, vector in zip(plan.peers, rows, vectors, strict=True)
    ]
    return plan, made


def ids_of(plan, *numbers):
    """What a row holds for these peers."""
    return b"".join(plan.peers[number].identity.peer_id for number in numbers)


def a_run(outcomes, happenings=()):
    """What an engine hands over."""
    return Ran(outcomes=outcomes, happenings=happenings, launched_at=990.0, ready_s=1.5)
