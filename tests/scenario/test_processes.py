"""Real daemons on loopback: they learn together, liars lie, the dead are reported, and nothing is left running."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from made import EXAMPLES, a_scenario

from gossipfl.errors import ConfigError, DataError, StateError
from gossipfl.identity import Identity
from gossipfl.node.status import read_node_file
from gossipfl.scenario.directories import LOG_FILE, prepare
from gossipfl.scenario.plan import identity_of, make
from gossipfl.scenario.processes import running
from gossipfl.scenario.processes.launch import command, environment
from gossipfl.scenario.progress import View
from gossipfl.scenario.run import run


@pytest.fixture(autouse=True)
def _own_learner(monkeypatch):
    """The scenarios train the plain NumPy learner of docs/examples, in the daemons and in this process."""
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    monkeypatch.syspath_prepend(str(EXAMPLES))


class Heard(View):
    """Remembers what a person would have seen."""

    def __init__(self):
        self.peers, self.rounds = [], []

    def show(self, peers, elapsed_s):
        self.peers = list(peers)
        self.rounds.append([peer.round for peer in peers])


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("discovery", ["mdns", "addresses"])
def test_peers_find_each_other_and_learn_together(tmp_path, discovery):
    view = Heard()
    report = run(a_scenario(network={"discovery": discovery}), tmp_path / "run", view=view)
    assert report["missing"] == []
    assert report["missed"] == []
    assert [peer["rounds"] for peer in report["per_peer"]] == [3, 3, 3]
    assert report["updates"] == {"expected": 18, "heard": 18, "late": 0, "refused": 0}
    # Everybody heard everybody every round: their mixes agree.
    assert report["consensus_distance"] < 1e-3
    assert report["accuracy"]["min"] > 0.8
    # What the parent measured of the final models is what the peers measured themselves.
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    last = {line["peer"]: line for line in map(json.loads, lines)}
    assert [last[n]["accuracy"] for n in range(3)] == [peer["accuracy"] for peer in report["per_peer"]]
    assert all(earlier <= later for earlier, later in pairwise(view.rounds[-3:]))
    assert not any(is_alive(peer.pid) for peer in view.peers)


def test_without_mixing_every_peer_ends_exactly_where_its_twin_does(tmp_path):
    report = run(a_scenario(aggregation={"gamma": 0.0}, network={"discovery": "addresses"}), tmp_path / "run")
    assert [peer["accuracy"] for peer in report["per_peer"]] == [peer["alone"] for peer in report["per_peer"]]
    assert report["gain"] == pytest.approx(0)


def test_a_killed_peer_is_reported_and_the_others_go_on_without_it(tmp_path):
    killed = []

    def kill_the_second(peers):
        for peer in peers:
            if peer.peer.number == 1 and peer.round >= 1 and not killed:
                os.kill(peer.pid, signal.SIGKILL)
                killed.append(peer.round)

    rule = {"rule": "trimmed_mean", "byzantine_max": 1}
    liar = [{"peers": [3], "attack": "sign_flip"}]
    scenario = a_scenario(
        scenario={"rounds": 200}, peers={"count": 4}, aggregation=rule, liar=liar, expect={"accuracy_min": 0.8}
    )
    report = run(scenario, tmp_path / "run", on_poll=kill_the_second)
    (lost,) = report["missing"]
    assert (lost["number"], lost["honest"]) == (1, True)
    assert lost["why"].startswith("killed by SIGKILL after")
    assert lost["last_words"]
    assert report["per_peer"][1]["exit_code"] == -signal.SIGKILL
    assert 1 <= killed[0] < 199
    assert [report["per_peer"][number]["rounds"] for number in (0, 2)] == [200, 200]
    # The survivors' promise was kept; that one of them is missing was not promised.
    assert [sentence.partition(":")[0] for sentence in report["missed"]] == ["missing_max"]
    assert report["per_peer"][3]["attack"] == {"name": "sign_flip", "scale": 10.0}


def test_a_crash_at_the_start_is_reported_with_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "daemons").mkdir()
    (tmp_path / "daemons" / "unlucky.py").write_text("def build(context):\n    raise RuntimeError('out of luck')\n")
    (tmp_path / "parent").mkdir()
    (tmp_path / "parent" / "unlucky.py").write_text("from numpy_softmax import build\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "daemons"))
    monkeypatch.syspath_prepend(str(tmp_path / "parent"))
    report = run(a_scenario(peers={"count": 2}, model={"learner": "unlucky:build"}), tmp_path / "run")
    assert [peer["why"] for peer in report["missing"]] == ["ended with exit code 1 after 0 of 3 rounds"] * 2
    assert "RuntimeError: out of luck" in report["missing"][0]["last_words"][-1]
    assert report["accuracy"]["mean"] is None


def test_time_that_is_up_ends_everybody(tmp_path):
    view = Heard()
    scenario = a_scenario(scenario={"rounds": 100_000, "timeout_s": 3.0}, peers={"count": 2})
    report = run(scenario, tmp_path / "run", view=view)
    assert all(peer["why"].startswith("stopped after 3 s, the scenario's timeout_s") for peer in report["missing"])
    assert len(report["missing"]) == 2
    assert not any(is_alive(peer.pid) for peer in view.peers)


def test_a_peer_that_ignores_sigterm_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "STOP_S", 0.2)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    process.stdout.readline()
    peer = running.Running(make(a_scenario()).peers[0], tmp_path, process)
    running.stop([peer], "enough")
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    assert peer.stopped == "enough"


def test_every_peer_has_a_directory_with_its_key_its_options_and_its_log(tmp_path):
    out = tmp_path / "run"
    plan = make(a_scenario(), seed=5)
    prepare(plan, out)
    for number, peer in enumerate(plan.peers):
        directory = out / "peers" / f"{number:02d}"
        assert Identity.load(directory / "key").peer_id == identity_of(5, number).peer_id
        assert (directory / "node.toml").exists()
        assert str(directory) in command(plan, peer, out)
    assert (out / "federation.toml").stat().st_mode & 0o077 == 0


def test_a_directory_that_holds_anything_is_left_alone(tmp_path):
    (tmp_path / "precious").write_text("thesis")
    with pytest.raises(StateError, match="not an empty directory"):
        run(a_scenario(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_data_that_cannot_be_loaded_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError):
        run(a_scenario(data={"source": str(tmp_path / "none.csv")}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_learner_that_cannot_be_imported_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="PYTHONPATH"):
        run(a_scenario(model={"learner": "nowhere:build"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_environment_asks_for_one_thread_once():
    once = environment({"XLA_FLAGS": "--xla_dump_to=x"})
    assert once["XLA_FLAGS"].startswith("--xla_dump_to=x --xla_cpu_multi_thread_eigen=false")
    assert environment(once) == once


@pytest.fixture
def endless(tmp_path):
    """A command line that runs three peers with no end, once all of them listen: its process and their pids."""
    out = tmp_path / "run"
    overrides = [f"--set={key}" for key in (
        "scenario.rounds=100000", "peers.count=3", "aggregation.byzantine_max=0", "model.name=custom",
        "model.learner=numpy_softmax:build",
    )]  # fmt: skip
    command = [sys.executable, "-m", "gossipfl", "scenario", "run", "quickstart", "--out", str(out), *overrides]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        nodes = [out / "peers" / f"{number:02d}" / "node.json" for number in range(3)]
        deadline = time.monotonic() + 60
        while not all(node.exists() for node in nodes) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        pids = [read_node_file(node.parent)["pid"] for node in nodes]
        yield process, pids
        for pid in filter(is_alive, [process.pid, *pids]):
            os.kill(pid, signal.SIGKILL)


def test_ctrl_c_leaves_nothing_running_and_no_report(tmp_path, endless):
    process, pids = endless
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", None)
    assert process.returncode == 130
    assert not any(map(is_alive, pids))
    assert not (tmp_path / "run" / "report.json").exists()


def test_when_the_command_is_killed_the_peers_leave_by_themselves(tmp_path, endless):
    process, pids = endless
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, pids))
    logs = [(tmp_path / "run" / "peers" / f"{number:02d}" / LOG_FILE).read_text() for number in range(3)]
    assert all("leaving: whoever started me has gone" in log for log in logs)
