"""The virtual engine runs the scenario file that real daemons run, to the same end, and repeats itself bit for bit."""

import itertools
import time

import numpy as np
import pytest
from made import EXAMPLES, a_scenario

from gossipfl.config import to_tables
from gossipfl.errors import StateError
from gossipfl.node import checkpoint
from gossipfl.scenario import plan, virtual
from gossipfl.scenario.directories import LOG_FILE
from gossipfl.scenario.progress import View
from gossipfl.scenario.report.build import read_metrics
from gossipfl.scenario.run import run
from gossipfl.scenario.virtual.engine import Simulation, learners_of


@pytest.fixture(autouse=True)
def _own_learner(monkeypatch):
    """The scenarios train the plain NumPy learner of docs/examples, in the daemons and in this process."""
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    monkeypatch.syspath_prepend(str(EXAMPLES))


def simulated(**sections):
    scenario = {"engine": "virtual", **sections.pop("scenario", {})}
    return a_scenario(scenario=scenario, **sections)


def engine_run(tmp_path, spec, seed=None, threads=1):
    return virtual.run(plan.make(spec, seed), tmp_path / f"run-{time.monotonic_ns()}", View(), threads)


def vectors(ran):
    return [outcome.vector for outcome in ran.outcomes]


def test_a_scenario_runs_to_its_report_on_virtual_machines(tmp_path):
    report = run(simulated(), tmp_path / "run")
    assert (report["engine"], report["missing"], report["missed"]) == ("virtual", [], [])
    assert [peer["rounds"] for peer in report["per_peer"]] == [3, 3, 3]
    assert report["updates"]["heard"] == 18
    assert report["accuracy"]["min"] > 0.8
    assert report["rss_mb"] is None                              # one process for all: nobody's own memory
    assert (tmp_path / "run" / "peers" / "02" / LOG_FILE).read_text().count("= mixed round") == 3


def test_one_seed_gives_one_hash_on_any_number_of_threads_and_another_seed_another(tmp_path):
    spec = simulated(peers={"count": 5}, network={"jitter_ms": 5.0, "loss": 0.05}, scenario={"rounds": 6})
    hashes = [
        run(spec, tmp_path / f"{place}", seed)["params_sha256"] for place, seed in enumerate([1, 1, 2])
    ]                                                                                                  # fmt: skip
    assert hashes[0] == hashes[1] != hashes[2]
    one, four = engine_run(tmp_path, spec, threads=1), engine_run(tmp_path, spec, threads=4)
    assert all(np.array_equal(a, b) for a, b in zip(vectors(one), vectors(four), strict=True))


class Looker(View):
    """Remembers how far peers were at every look."""

    def __init__(self):
        self.looks = []

    def show(self, peers, elapsed_s):
        self.looks.append([one.round for one in peers])


def test_whoever_looks_on_is_shown_every_event_that_takes_long_and_changes_nothing(tmp_path):
    """An event that compiles takes seconds: no second one may pass before the next look."""
    planned = plan.make(simulated())
    unseen, looker, clock = engine_run(tmp_path, simulated()), Looker(), itertools.count()
    seen = Simulation(planned, learners_of(planned), None)
    seen.run(looker, lambda: float(next(clock)))             # a second goes by whenever somebody asks
    steps = [sum(after) - sum(before) for before, after in itertools.pairwise(looker.looks)]
    assert sum(steps) == 9                                   # three rounds of three peers
    assert max(steps) == 1
    for one, other in zip(seen.ran().outcomes, unseen.outcomes, strict=True):
        assert np.array_equal(one.vector, other.vector)
        assert one.rows == other.rows


@pytest.mark.parametrize(("codec", "tolerance"), [("float32", 1e-5), ("int8", 2e-3)])
def test_synchronous_peers_end_in_the_same_vectors_as_real_daemons(tmp_path, codec, tolerance):
    sections = {"peers": {"count": 4}, "round": {"mode": "synchronous"}, "codec": {"name": codec},
                "scenario": {"rounds": 5}, "network": {"discovery": "addresses"}}                      # fmt: skip
    run(a_scenario(**sections), tmp_path / "real")
    run(simulated(**sections), tmp_path / "simulated")
    for number in range(4):
        real, other = (checkpoint.load(tmp_path / kind / "peers" / f"{number:02d}" / checkpoint.FILE)[0]["vector"]
                       for kind in ("real", "simulated"))                                              # fmt: skip
        assert np.abs(real - other).max() <= tolerance


def test_twins_and_those_who_isolate_themselves_do_the_same_on_both_engines(tmp_path):
    sections = {"peers": {"count": 4}, "round": {"mode": "synchronous"}, "scenario": {"rounds": 7},
                "network": {"discovery": "addresses"}, "liar": [{"peers": [3], "attack": "sign_flip", "scale": 10.0}],
                "aggregation": {"alone_every": 1, "harm_rounds": 2, "on_harm": "isolate"}}             # fmt: skip
    run(a_scenario(**sections), tmp_path / "real")
    run(simulated(**sections), tmp_path / "simulated")
    real, other = (
        [line for line in read_metrics(tmp_path / kind) if line["honest"]] for kind in ("real", "simulated")
    )
    for name in ("peer", "round", "gain", "isolated"):
        assert [line[name] for line in real] == [line[name] for line in other]
    assert any(line["isolated"] for line in other)
    assert all(line["verdicts"] == [] for line in other if line["isolated"])


def test_asynchronous_rounds_in_which_nobody_is_late_are_synchronous_ones(tmp_path):
    one, other = (
        engine_run(tmp_path, simulated(peers={"count": 4}, round={"mode": mode}, scenario={"rounds": 6}))
        for mode in ("synchronous", "asynchronous")
    )
    assert all(np.array_equal(a, b) for a, b in zip(vectors(one), vectors(other), strict=True))


def test_killed_peers_come_back_and_finish_and_it_is_told_when_they_were_away(tmp_path):
    churn = [{"action": "kill", "peers": [1, 3], "at_round": 8, "for_s": 1.0}]
    spec = simulated(scenario={"rounds": 30}, peers={"count": 5}, churn=churn)
    ran = engine_run(tmp_path, spec)
    assert [outcome.missing for outcome in ran.outcomes] == [""] * 5
    assert [(h.kind, h.peers) for h in ran.happenings] == [
        ("kill", (1,)), ("kill", (3,)), ("start", (1,)), ("start", (3,)),
    ]  # fmt: skip
    assert ran.happenings[0].round == 8
    assert ran.happenings[2].time_s == pytest.approx(ran.happenings[0].time_s + 1.0)


def test_whoever_is_killed_for_good_is_missing_and_the_others_finish(tmp_path):
    spec = simulated(scenario={"rounds": 12}, peers={"count": 4},
                     churn=[{"action": "kill", "peers": [2], "at_round": 4}])                          # fmt: skip
    ran = engine_run(tmp_path, spec)
    assert [bool(outcome.missing) for outcome in ran.outcomes] == [False, False, True, False]
    assert "killed by the scenario" in ran.outcomes[2].missing


def test_a_newcomer_joins_late_and_ends_with_the_others(tmp_path):
    spec = simulated(scenario={"rounds": 20}, peers={"count": 4},
                     churn=[{"action": "join", "peers": [3], "at_round": 8}])                          # fmt: skip
    ran = engine_run(tmp_path, spec)
    newcomer = ran.outcomes[3]
    assert newcomer.missing == ""
    assert newcomer.rows[0].round >= 8
    assert newcomer.rows[-1].accuracy == pytest.approx(ran.outcomes[0].rows[-1].accuracy, abs=0.02)


def test_halves_that_were_cut_apart_go_on_alone_and_merge_again(tmp_path):
    spec = simulated(
        scenario={"rounds": 1200, "timeout_s": 400.0}, peers={"count": 6, "train_s": 0.2}, overlay={"kind": "full"},
        network={"discovery": "addresses", "partitions": [{"groups": [[0, 1, 2]], "at_s": 20.0, "for_s": 60.0}]},
    )
    ran = engine_run(tmp_path, spec)
    assert [h.kind for h in ran.happenings] == ["cut", "heal"]
    rows = [(row.time_s - ran.launched_at, row.expected) for outcome in ran.outcomes for row in outcome.rows]
    expected = [{count for at_s, count in rows if begin < at_s < begin + 5} for begin in (10, 70, 205)]
    assert expected == [{5}, {2}, {5}]
    assert all(outcome.finished for outcome in ran.outcomes)


def test_a_run_stops_at_its_timeout_and_says_who_was_not_done(tmp_path):
    ran = engine_run(tmp_path, simulated(scenario={"rounds": 1000, "timeout_s": 5.0}))
    assert all("timeout_s" in outcome.missing for outcome in ran.outcomes)
    assert all(outcome.rounds > 10 for outcome in ran.outcomes)


def test_speeds_and_wrong_clocks_are_honored(tmp_path):
    spec = simulated(scenario={"rounds": 30}, peers={"count": 4, "speeds": [0.1], "clock_skew_s": 3600.0})
    ran = engine_run(tmp_path, spec)
    assert ran.outcomes[0].rows[3].busy_s == pytest.approx(1.1, rel=0.3)
    assert ran.outcomes[1].rows[3].busy_s == pytest.approx(0.11, rel=0.3)
    assert all(outcome.rounds == 30 for outcome in ran.outcomes[1:])


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(StateError, match="not an empty directory"):
        virtual.run(plan.make(simulated()), tmp_path, View())


def test_the_plan_of_a_simulated_scenario_is_the_plan_of_the_real_one():
    real, other = plan.make(a_scenario(), 7), plan.make(simulated(), 7)
    assert [peer.identity for peer in real.peers] == [peer.identity for peer in other.peers]
    assert [to_tables(peer.node) for peer in real.peers] == [to_tables(peer.node) for peer in other.peers]
    assert real.federation.terms == other.federation.terms
