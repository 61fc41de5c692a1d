"""Whole daemons: real processes, real sockets, real files."""

import signal
import subprocess
import sys
from contextlib import ExitStack

import msgspec
import pytest
from daemons import Daemon, a_federation, until

from gossipfl import federation
from gossipfl.config import AggregationConfig, ModelConfig, OverlayConfig
from gossipfl.node.checkpoint import load
from gossipfl.node.status import fetch


@pytest.fixture
def agreed(tmp_path):
    return a_federation(tmp_path)


def test_two_daemons_train_together_and_leave_when_their_rounds_are_done(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a", parts=2, rounds=8) as a:
        with Daemon(agreed, tmp_path / "b", parts=2, part=1, rounds=8, peers=[a.address]) as b:
            assert [a.process.wait(60), b.process.wait(60)] == [0, 0]
    assert len(a.rounds()) == len(b.rounds()) == 8
    assert a.told("waits for 1 neighbor, ")
    assert a.rounds()[-1].accuracy > 0.85
    assert sum(row.heard for row in a.rounds()) >= 6


def test_a_stopped_daemon_resumes_with_its_identity_its_round_and_a_higher_sequence(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a", parts=2) as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]) as b:
        before = b.wait_rounds(5)[-1].round
        peer_id = b.node_file()["peer_id"]
        assert b.stop() == 0
        saved = int(load(b.state / "checkpoint.safetensors")[1]["round"])
        b.start()
        assert b.node_file()["peer_id"] == peer_id
        until(lambda: b.told(f"round {saved}\n"), "it resumes at the round of its checkpoint")
        assert saved > before
        b.wait_rounds(saved + 5)
        assert "Replay" not in a.log.read_text()
        newest = "SELECT max(sequence), max(round) FROM manifests WHERE signer = ?"
        assert b.query(newest, b.key)[0][0] >> 32 == 2
        assert a.query("SELECT sequence FROM signers WHERE signer = ?", b.key)[0][0] >> 32 == 2


def test_an_interrupted_daemon_exits_with_130(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a") as a:
        a.node_file()
        a.process.send_signal(signal.SIGINT)
        assert a.process.wait(30) == 130


def test_a_node_shows_its_status_its_peers_and_the_topology_on_loopback(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a") as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]) as b:
        a.wait_rounds(3)
        url = a.node_file()["status"]
        status = fetch(url + "/status")
        assert (status["neighbors"], status["known_peers"]) == (1, 2)
        assert [peer["id"] for peer in fetch(url + "/peers")] == [b.node_file()["peer_id"]]
        both = sorted([a.node_file()["peer_id"], b.node_file()["peer_id"]])
        until(lambda: [sorted(edge) for edge in fetch(url + "/topology")["edges"]] == [both], "both claim the edge")


def test_a_third_peer_that_knows_one_address_meets_everybody(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a") as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]) as b:
        b.wait_rounds(2)
        with Daemon(agreed, tmp_path / "c", part=2, peers=[b.address]) as c:
            url = c.node_file()["status"]
            until(lambda: fetch(url + "/status")["neighbors"] == 2, "the newcomer has both as neighbors")


def test_a_remembered_address_is_enough_to_come_back(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a") as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]) as b:
        b.wait_rounds(2)
        until(lambda: b.query("SELECT count(*) FROM records")[0][0] == 2, "the address is on the disk")
        b.stop()
        done = b.rounds()[-1].round
        with Daemon(agreed, b.state, part=1) as again:   # told of nobody
            again.wait_rounds(done + 3)
            assert again.rounds()[-1].expected == 1


def test_a_peer_of_another_model_is_refused_by_name_and_once(tmp_path, agreed):
    other = msgspec.structs.replace(federation.load(agreed), model=ModelConfig(name="softmax", inputs=(64,)))
    federation.save(other, tmp_path / "other.toml")
    with Daemon(agreed, tmp_path / "a") as a:
        with Daemon(tmp_path / "other.toml", tmp_path / "b", peers=[a.address]) as b:
            until(lambda: a.told("refused: trains softmax 64-") or b.told("refused: trains numpy_softmax"), "a refusal")
            until(lambda: b.told("numpy_softmax:build"), "the refused one is told why")
    assert a.log.read_text().count("refused: trains softmax") <= 1


def test_a_newcomer_takes_its_neighbors_time(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a") as a, Daemon(agreed, tmp_path / "b", part=1, peers=[a.address]):
        a.wait_rounds(40)
        with Daemon(agreed, tmp_path / "c", part=2, peers=[a.address], start_neighbors=2) as c:
            until(lambda: c.told("caught up at round"), "it mixes before it trains")
            assert c.wait_rounds(30)[-1].round >= 30


def test_a_damaged_checkpoint_is_told_with_the_way_out_and_exit_2(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a", rounds=2, start_neighbors=0) as a:
        assert a.process.wait(60) == 0
        path = a.state / "checkpoint.safetensors"
        whole = path.read_bytes()
        path.write_bytes(whole[:-7])
        assert a.start().process.wait(60) == 2
        assert a.told("is damaged")
        assert "Traceback" not in a.log.read_text()
        assert path.read_bytes() == whole[:-7]


def test_a_second_daemon_on_one_state_directory_is_refused_with_exit_2(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a") as a:
        a.node_file()
        twin = Daemon(agreed, tmp_path / "a")
        with open(tmp_path / "twin.log", "wb") as log:
            command = [sys.executable, "-m", "gossipfl", "node", "--federation", agreed, "--state", twin.state,
                       "--config", twin.config]                                                     # fmt: skip
            assert subprocess.run(command, stderr=log, timeout=60).returncode == 2
        assert str(a.process.pid) in (tmp_path / "twin.log").read_text()


def test_a_rule_that_needs_more_neighbors_than_named_is_refused_at_start(tmp_path, agreed):
    rules = AggregationConfig(rule="trimmed_mean", byzantine_max=2)
    with Daemon(agreed, tmp_path / "a", aggregation=rules, overlay=OverlayConfig(degree=3, mesh_peers_max=4)) as a:
        assert a.process.wait(30) == 2
        assert a.told("needs 5 models")


def test_a_daemon_says_what_its_rule_is_worth_and_what_it_concludes_and_remembers_whom_it_trusts(tmp_path, agreed):
    rules = AggregationConfig(rule="auto", byzantine_max=1, alone_every=1)
    with ExitStack() as stack:                           # of two others one may lie: with one alone nobody is trusted
        a = stack.enter_context(Daemon(agreed, tmp_path / "a", aggregation=rules))
        b, c = (
            stack.enter_context(Daemon(agreed, tmp_path / name, part=part, peers=[a.address], aggregation=rules))
            for part, name in enumerate("bc", 1)
        )
        for one in (a, b, c):
            one.wait_rounds(8)
        until(lambda: a.told("! rule: nnm + trimmed_mean; "), "it says what its rule is worth")
        a.wait_rounds(a.rounds()[-1].round + 3)
        url = a.node_file()["status"]
        status, peers = fetch(url + "/status"), fetch(url + "/peers")
        shown = subprocess.run([sys.executable, "-m", "gossipfl", "status", a.state], capture_output=True)
    assert (status["rule"], status["ruling"]["asked"]) == ("nnm + trimmed_mean", "auto")
    assert status["ruling"]["standing"] in ("damage-limited", "impossible")
    assert status["verdicts"]["kept"] + status["verdicts"]["clipped"] >= 8
    assert status["alone"].keys() == {"round", "accuracy", "mine", "gain", "examples", "wins"}
    assert status["isolated"] is False
    others = [peer for peer in peers if peer["neighbor"]]
    assert len(others) == 2
    assert {other["verdict"]["standing"] for other in others} <= {"kept", "clipped"}
    assert min(other["trust"] for other in others) > 0.5
    assert a.query("SELECT score FROM trust WHERE peer = ?", b.key)[0][0] > 0.5
    assert {row.gain is None for row in a.rounds()} == {False}
    assert b"verdicts" in shown.stdout
    assert b"gain over my twin alone" in shown.stdout


def test_synchronous_peers_mix_every_round_of_each_other(tmp_path, agreed):
    with Daemon(agreed, tmp_path / "a", parts=2, rounds=6, mode="synchronous") as a:
        with Daemon(agreed, tmp_path / "b", parts=2, part=1, rounds=6, mode="synchronous", peers=[a.address]) as b:
            assert [a.process.wait(60), b.process.wait(60)] == [0, 0]
    assert [(row.heard, row.late) for row in a.rounds() + b.rounds()] == [(1, 0)] * 12
    assert load(a.state / "checkpoint.safetensors")[0]["vector"] == pytest.approx(
        load(b.state / "checkpoint.safetensors")[0]["vector"], abs=1e-5
    )
