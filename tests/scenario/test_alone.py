"""What every peer reaches alone: measured after the run, and told while it takes its time."""

import sys

import pytest
from made import EXAMPLES, a_scenario, outcomes_of

from gossipfl.scenario.alone import judge

PATIENT = """
import threading
from numpy_softmax import build as softmax

told = threading.Event()

def build(context):
    learner = softmax(context)
    train = learner.train
    def patiently(round):
        assert told.wait(60)
        return train(round)
    learner.train = patiently
    return learner
"""


@pytest.fixture
def patient(tmp_path, monkeypatch):
    """A learner that trains only once somebody was told how far it is."""
    (tmp_path / "patient.py").write_text(PATIENT)
    for folder in (EXAMPLES, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    yield lambda: sys.modules["patient"]
    sys.modules.pop("patient", None)


def test_whoever_waits_for_what_peers_reach_alone_is_told_how_far_that_is(patient):
    plan, outcomes = outcomes_of(a_scenario(model={"learner": "patient:build"}), [None] * 3)
    said = []

    def tell(sentence):
        said.append(sentence)
        patient().told.set()

    judged = judge(plan, outcomes, tell, every_s=0.05)
    assert said[0] == "alone: 0 of 3 peers done, 0% of their rounds"
    assert all(accuracy > 0.5 for accuracy in judged.alone.values()), "and all of them were trained"
