"""Silence and wrong dates: nobody is blamed for being slow, and no round is believed that cannot be."""

import re

import pytest
from made import EXAMPLES, a_scenario

from gossipfl.scenario import plan, virtual
from gossipfl.scenario.progress import View

HONEST, ROUNDS = 4, 12


@pytest.fixture(autouse=True)
def _own_learner(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))


def ran(tmp_path, **liar):
    """Outcomes and logs of four honest peers beside one liar."""
    spec = a_scenario(
        scenario={"rounds": ROUNDS, "engine": "virtual"}, peers={"count": HONEST + 1}, overlay={"kind": "full"},
        aggregation={"rule": "median"}, liar=[{"count": 1, **liar}],
    )  # fmt: skip
    made = plan.make(spec)
    outcomes = virtual.run(made, tmp_path / "run", View(), 1).outcomes
    logs = [(tmp_path / "run" / "peers" / f"{number:02d}" / "log.txt").read_text() for number in range(HONEST)]
    return made.liars[0].identity.peer_id, outcomes[:HONEST], logs


def heard_in(outcome, liar):
    """The rounds in which a peer heard a fresh model of the liar."""
    return {row.round for row in outcome.rows if bytes(liar) in _named(row.heard_from)}


def _named(packed):
    return {packed[start : start + 32] for start in range(0, len(packed), 32)}


def test_a_silent_liar_is_heard_until_it_falls_silent_and_then_done_without(tmp_path):
    liar, honest, logs = ran(tmp_path, attack="silent", from_round=5)
    for outcome, log in zip(honest, logs, strict=True):
        assert outcome.rounds == ROUNDS
        assert heard_in(outcome, liar) == set(range(5))
        assert not re.search(r"broke the protocol|is banned", log)


def test_silence_for_a_while_ends(tmp_path):
    liar, honest, _ = ran(tmp_path, attack="silent", from_round=4, rounds=3)
    for outcome in honest:
        heard = heard_in(outcome, liar)
        assert {0, 1, 2, 3} <= heard
        assert not heard & {5, 6}
        assert heard & {7, 8, 9, 10, 11}


@pytest.mark.parametrize("claims", [2, -2, 1_000_000])
def test_a_wrong_round_number_stops_nobody_and_breaks_no_rule(tmp_path, claims):
    _, honest, logs = ran(tmp_path, attack="stale", age=0, claims=claims)
    assert [outcome.rounds for outcome in honest] == [ROUNDS] * HONEST
    assert not any(re.search(r"broke the protocol|is banned", log) for log in logs)
