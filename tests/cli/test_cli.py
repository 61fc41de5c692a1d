"""The command line as a user meets it: quick help, one sentence for a mistake, and exit codes that can be relied on."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys

import pytest

from gossipfl import __version__
from gossipfl.identity import Identity, PeerId

HELP = [
    [], ["node"], ["status"], ["scenario"], ["scenario", "run"], ["scenario", "list"], ["scenario", "show"],
    ["scenario", "report"],
    ["federation"], ["federation", "new"], ["federation", "show"], ["identity"], ["identity", "new"],
    ["identity", "show"],
]  # fmt: skip
SMALL = ("model.name=softmax", "model.hidden=[]", "peers.count=3", "scenario.rounds=2", "expect.accuracy_min=0.999")
HEAVY = ("jax", "nacl", "numpy", "rich", "zeroconf")


def gossipfl(*arguments, cwd=None):
    command = [sys.executable, "-m", "gossipfl", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def refused(*arguments, cwd=None):
    """The one sentence of a command that is the user's to mend."""
    done = gossipfl(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("gossipfl: ")
    return done.stderr


@pytest.fixture
def agreed(tmp_path):
    """A federation file."""
    path = tmp_path / "federation.toml"
    done = gossipfl("federation", "new", path, "--name", "test", "--model", "softmax", "--hidden", "")
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("command", HELP, ids=[" ".join(command) or "gossipfl" for command in HELP])
def test_every_command_has_help(command):
    done = gossipfl(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: gossipfl")


def test_the_version_is_the_packages():
    assert gossipfl("--version").stdout == f"{__version__}\n"


def test_help_takes_less_than_a_third_of_a_second():
    """Measured as time of a core, the best of three: what else runs on this machine does not count."""
    def once():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert gossipfl("scenario", "run", "--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(once() for _ in range(3)) < 0.3


def test_help_imports_nothing_that_takes_long():
    code = f"import sys, gossipfl.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["nonsense"], ["node"], ["scenario", "run"], ["node", "--no-such-option"]])
def test_a_command_that_does_not_exist_or_lacks_something_ends_with_2(arguments):
    assert gossipfl(*arguments).returncode == 2


# ---- identity, federation


def test_identity_new_then_show_name_the_same_peer(tmp_path):
    made = gossipfl("identity", "new", tmp_path / "key")
    shown = gossipfl("identity", "show", tmp_path / "key", "--json")
    assert made.returncode == shown.returncode == 0
    assert json.loads(shown.stdout)["id"] == made.stdout.strip()
    assert PeerId.parse(made.stdout.strip()) == Identity.load(tmp_path / "key").peer_id


def test_identity_show_finds_the_key_in_a_state_directory(tmp_path):
    identity = Identity.generate()
    identity.save(tmp_path / "key")
    assert gossipfl("identity", "show", tmp_path).stdout.strip() == str(identity.peer_id)


def test_no_key_is_overwritten_and_no_readable_one_is_used(tmp_path):
    Identity.generate().save(tmp_path / "key")
    before = (tmp_path / "key").read_bytes()
    assert "exists" in refused("identity", "new", tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == before
    os.chmod(tmp_path / "key", 0o644)
    assert "chmod 600" in refused("identity", "show", tmp_path / "key")


def test_federation_show_never_prints_the_key_unless_asked(agreed):
    shown, revealed = gossipfl("federation", "show", agreed), gossipfl("federation", "show", agreed, "--reveal-key")
    key = next(line for line in agreed.read_text().splitlines() if line.startswith("key")).split('"')[1]
    assert len(key) == 64
    assert key not in shown.stdout + shown.stderr
    assert key in revealed.stdout
    assert agreed.stat().st_mode & 0o077 == 0


def test_federation_show_json_says_what_is_trained(agreed):
    facts = json.loads(gossipfl("federation", "show", agreed, "--json").stdout)
    assert facts["name"] == "test"
    assert facts["trains"].startswith("softmax 64-10")
    assert "key" not in facts


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--inputs", "-3"], "--inputs: must be at least 1, is -3"),
        (["--hidden", "64,0"], "--hidden: must be at least 1, is 0"),
        (["--name", " "], "--name: must not be empty"),
        (["--model", "cnn"], "--model: a cnn needs inputs = [height, width, channels]"),
    ],
)
def test_an_agreement_that_nobody_could_train_is_refused_before_it_is_handed_out(tmp_path, words, said):
    assert said in refused("federation", "new", tmp_path / "made.toml", "--name", "ward", *words)
    assert not (tmp_path / "made.toml").exists()


def test_an_open_federation_has_no_key(tmp_path):
    made = gossipfl("federation", "new", tmp_path / "open.toml", "--name", "park", "--open", "--json")
    assert json.loads(made.stdout)["admission"] == "open"


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [("--codec", "gzip", "no codec 'gzip'"), ("--hidden", "64,many", "64,many"),
     ("--model", "oracle", "--model: cannot be 'oracle': choose cnn, custom, mlp or softmax")],
)
def test_an_agreement_that_cannot_be_kept_is_not_written(tmp_path, option, value, reason):
    assert reason in refused("federation", "new", tmp_path / "f.toml", "--name", "test", option, value)
    assert not (tmp_path / "f.toml").exists()


# ---- node


def test_a_node_without_data_is_refused_and_leaves_nothing(tmp_path, agreed):
    assert "--data" in refused("node", "--federation", agreed, "--state", tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_promise_that_the_overlay_cannot_carry_is_refused_with_the_number_needed(tmp_path, agreed):
    promise = ("--rule", "trimmed_mean", "--byzantine-max", "9")
    node = ("node", "--federation", agreed, "--state", tmp_path / "state", "--data", "digits")
    assert "needs 19 models" in refused(*node, *promise)
    assert "no rule 'wishful'" in refused(*node, "--rule", "wishful")
    assert not (tmp_path / "state").exists()


def test_an_unknown_option_in_the_node_file_is_named_with_its_section(tmp_path, agreed):
    (tmp_path / "node.toml").write_text("[round]\nruonds = 3\n")
    node = ("node", "--federation", agreed, "--state", tmp_path / "state", "--data", "digits")
    assert "ruonds" in refused(*node, "--config", tmp_path / "node.toml")
    assert refused(*node, "--config", tmp_path / "none.toml").startswith("gossipfl: cannot read")


def test_a_lone_node_trains_tells_its_id_and_ends_with_0(tmp_path, agreed):
    state = tmp_path / "state"
    options = ("--no-mdns", "--listen", "127.0.0.1:0", "--wait-for", "0", "--rounds", "2")
    learner = ("--learner", "numpy_softmax:build")
    examples = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "examples")
    done = gossipfl("node", "--federation", agreed, "--state", state, "--data", "digits", *options, *learner,
                    cwd=examples)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert str(Identity.load(state / "key").peer_id) in done.stderr
    assert "went through round 1" in done.stderr
    assert "waits for 0 neighbors" in done.stderr
    assert f"my key is in {state / 'key'}; keep it" in done.stderr
    again = gossipfl("node", "--federation", agreed, "--state", state, "--data", "digits", *options, *learner,
                     cwd=examples)  # fmt: skip
    assert "keep it" not in again.stderr


def test_a_node_whose_port_is_taken_leaves_nothing_and_speaks_of_no_key(tmp_path, agreed):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = ("--no-mdns", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
        done = gossipfl("node", "--federation", agreed, "--state", tmp_path / "state", "--data", "digits", *listen)
    assert done.returncode == 2
    assert "key" not in done.stderr
    assert not (tmp_path / "state").exists()


# ---- status


def test_status_of_a_node_that_never_ran_or_runs_no_more_is_one_sentence(tmp_path):
    assert "name the state directory" in refused("status", tmp_path)
    node = {"pid": 1, "peer_id": "12D3KooW", "listen": [], "status": "http://127.0.0.1:9"}
    (tmp_path / "node.json").write_text(json.dumps(node))
    assert "no node answers" in refused("status", tmp_path)
    (tmp_path / "node.json").write_text(json.dumps(node | {"status": ""}))
    assert "serves no status" in refused("status", tmp_path)


# ---- scenario


def test_scenario_list_tells_what_there_is():
    stories = json.loads(gossipfl("scenario", "list", "--json").stdout)
    assert stories["quickstart"].startswith("Eight peers")
    assert "quickstart" in gossipfl("scenario", "list").stdout


def test_scenario_show_prints_the_file_and_as_json_every_default():
    assert gossipfl("scenario", "show", "quickstart").stdout.startswith("# Eight peers")
    shown = json.loads(gossipfl("scenario", "show", "quickstart", "--json", "--set", "peers.count=5").stdout)
    assert (shown["peers"]["count"], shown["round"]["patience"]) == (5, 4.0)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "no scenario 'nowhere'"),
        (["quickstart", "--engine", "array"], "not yet available"),
        (["quickstart", "--engine", "cloud"], "--engine: cannot be 'cloud': choose array, processes or virtual"),
        (["quickstart", "--set", "network.loss=0.1"], "network.discovery"),
        (["quickstart", "--set", "aggregation.byzantine_max=4"], "needs 9 models"),
        (["quickstart", "--set", "data.source=none.csv"], "none.csv"),
        (["quickstart", "--set", "peers.cuont=3"], "peers.cuont: unknown key; did you mean count? (--set peers.cuont"),
        (["quickstart", "--set", "overlay.kind=rong"], "no graph 'rong'; did you mean ring?"),
        (["quickstart", "--set", "overlay.kind=moebius"], "no graph 'moebius'; there are auto, edges, full"),
    ],
)
def test_a_scenario_that_cannot_be_run_is_refused_and_leaves_nothing(tmp_path, arguments, reason):
    assert reason in refused("scenario", "run", *arguments, "--out", tmp_path / "run", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ["virtual", "processes"])
@pytest.mark.parametrize("out", ["file/run", "/proc/run"])
def test_a_run_that_cannot_be_written_is_refused_before_it_begins(tmp_path, engine, out):
    (tmp_path / "file").write_text("mine")
    done = gossipfl("scenario", "run", "poisoned", "--engine", engine, "--out", out, cwd=tmp_path)
    standing, sentence = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert "damage-limited" in standing
    assert sentence.startswith(f"gossipfl: cannot write to {out}: ")
    assert "--out" in sentence


@pytest.fixture(scope="module")
def sprinted(tmp_path_factory):
    """A scenario that was run, and its --out."""
    out = tmp_path_factory.mktemp("sprint") / "run"
    overrides = [f"--set={key}" for key in SMALL]
    return gossipfl("scenario", "run", "sprint", "--out", out, "--seed", 4, "--json", *overrides), out


def test_a_scenario_that_misses_its_promise_ends_with_1_and_its_report_is_json(sprinted):
    done, out = sprinted
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["missed"][0].startswith("accuracy_min")
    assert report["missing"] == []
    assert (report["seed"], report["rounds"], report["engine"]) == (4, 2, "processes")
    assert report["file"]["overrides"] == list(SMALL)
    assert json.loads((out / "report.json").read_text()) == report
    assert (out / "scenario.toml").read_text() == report["file"]["text"]


def test_a_report_is_told_again_compared_and_drawn_anew(sprinted, tmp_path):
    _, out = sprinted
    first = (out / "report.html").read_text()
    (out / "report.html").unlink()
    told = gossipfl("scenario", "report", out)
    assert told.returncode == 0, told.stderr
    assert "MISSED    accuracy_min" in told.stdout
    assert (out / "report.html").read_text() == first
    assert "neither won" in gossipfl("scenario", "report", out, "--against", out).stdout
    assert "other" in (out / "against-run.html").read_text()
    as_json = gossipfl("scenario", "report", out, "--against", out, "--json")
    assert json.loads(as_json.stdout)["winner"] is None
    shown = gossipfl("scenario", "report", out, "--html", tmp_path / "page.html", "--json")
    assert json.loads(shown.stdout) == json.loads((out / "report.json").read_text())
    assert (tmp_path / "page.html").read_text() == first
    copy = shutil.copytree(out, tmp_path / "copy")
    for damaged in ('{"a": 1}\n', "[]\n", "{\n"):
        (copy / "metrics.jsonl").write_text(damaged)
        assert "metrics.jsonl is damaged" in refused("scenario", "report", copy)
    nowhere = tmp_path / "no" / "page.html"
    assert "name another file with --html" in refused("scenario", "report", out, "--html", nowhere)


def test_a_report_that_is_not_there_or_of_a_later_program_is_one_sentence(tmp_path):
    assert "holds no report.json" in refused("scenario", "report", tmp_path)
    (tmp_path / "report.json").write_text('{"schema": 2}')
    assert "schema 2 and this program reads 1" in refused("scenario", "report", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json"]
