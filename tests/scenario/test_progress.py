"""What a person sees while it runs."""

import subprocess
import sys

import pytest
from made import a_row, a_scenario

from gossipfl.scenario.plan import make
from gossipfl.scenario.processes.running import Running
from gossipfl.scenario.progress import Lines, newest, on_stderr, overall, table

SCENARIO = a_scenario(liar=[{"peers": [2], "attack": "sign_flip"}])


@pytest.fixture
def peers(tmp_path):
    """One peer that runs with two rounds done, one killed before its first, and a liar that has ended well."""
    plan = make(SCENARIO)
    codes = ("import sys; sys.stdin.read()", "import os; os.kill(os.getpid(), 9)", "pass")
    started = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for code in codes]
    running = [Running(peer, tmp_path, process) for peer, process in zip(plan.peers, started, strict=True)]
    for process in started[1:]:
        process.wait()
    running[0].rows = [a_row(0, accuracy=0.25), a_row(1, accuracy=0.75, late=1), a_row(2, accuracy=None)]
    running[0].ready_s, running[0].is_listening = 0.5, True
    running[2].rows = [a_row(round, accuracy=1.0) for round in range(3)]
    yield running
    for process in started:
        process.stdin.close()
        process.wait()


def test_each_peer_has_one_word_for_its_state(peers):
    assert [peer.state for peer in peers] == ["running", "ended with -9", "done"]


def test_the_newest_accuracy_is_that_of_the_last_round_that_measured_one(peers):
    assert [newest(peer) for peer in peers] == [0.75, None, 1.0]


def test_the_line_for_all_counts_honest_accuracies_only(peers):
    assert overall(peers, SCENARIO) == "1 of 3 running, round 0 to 3 of 3, accuracy 0.750, worst 0.750"


def test_the_table_has_a_row_per_peer_with_sums_over_its_rounds(peers):
    drawn = table(peers, SCENARIO, 12.0)
    columns = {column.header: list(column.cells) for column in drawn.columns}
    assert columns["peer"] == ["00", "01", "02 sign_flip"]
    assert columns["heard"] == ["6", "0", "6"]
    assert columns["late"] == ["1", "0", "0"]
    assert columns["round"] == ["3/3", "0/3", "3/3"]


class Wall:
    """The clock of whoever looks on."""

    now = 1000.0

    def __call__(self):
        return self.now


def test_without_a_terminal_there_is_a_line_every_few_seconds_and_one_for_each_loss(peers, capsys):
    wall = Wall()
    lines = Lines(SCENARIO, wall)
    for half_seconds in range(13):                           # 0 to 6 s
        wall.now = 1000.0 + half_seconds / 2
        lines.show(peers, half_seconds / 2)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "peer 01 ended with -9 in round 0"
    assert [line.split()[0] for line in said[1:]] == ["2.0", "5.0"]


def test_simulated_time_is_told_as_such_and_whoever_waits_hears_by_their_own_clock(peers, capsys):
    wall, simulated = Wall(), a_scenario(scenario={"engine": "virtual"})
    lines = Lines(simulated, wall)
    for second in range(13):                                 # a tenth of a second is simulated in each
        wall.now = 1000.0 + second
        lines.show([], second / 10)
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0].strip() for line in said] == [
        "2.0 s  simulated 0.2 s", "5.0 s  simulated 0.5 s", "8.0 s  simulated 0.8 s", "11.0 s  simulated 1.1 s"
    ]                                                                                                  # fmt: skip
    lines.show([], 500.0)                                    # and much that is simulated at once is no reason for one
    assert capsys.readouterr().err == ""
    assert table([], simulated, 12.0).title == "tiny, 12 s simulated"


def test_the_view_fits_standard_error():
    with on_stderr(SCENARIO) as view:
        assert isinstance(view, Lines)
