"""The store: what it keeps, for how long, and through which accidents."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from gossipfl import federation as federations
from gossipfl.config import ModelConfig
from gossipfl.errors import StateError
from gossipfl.identity import Identity
from gossipfl.node import database
from gossipfl.node import store as stores
from gossipfl.node.store import RoundRow, Store, read_rounds

ALICE, BOB = (Identity.from_seed(bytes([n]) * 32).peer_id for n in (1, 2))
FEDERATION = federations.Federation(name="test", id="ab" * 16, model=ModelConfig())


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "state", FEDERATION, ALICE)
    yield opened
    opened.close()


def a_round(number: int, **changes) -> RoundRow:
    values = {
        "round": number, "time_s": 1e9 + number, "accuracy": 0.5, "loss": None, "train_loss": 1.25, "expected": 3,
        "heard": 2, "late": 1, "refused": 0, "bytes_sent": 2**40 + number, "control_bytes_sent": 7, "rss_mb": 201.5,
        "busy_s": 0.5, "wait_s": 0.25, "distance": None, "sketch": bytes(1024),
    }
    return RoundRow(**{**values, **changes})


def test_everything_put_is_there_after_reopening(tmp_path):
    with_everything = Store.open(tmp_path, FEDERATION, ALICE)
    with_everything.put_records([(BOB, 3, b"record")])
    with_everything.put_manifest(BOB, 2**63 - 1, "delta", 4, b"manifest")
    with_everything.put_round(a_round(0))
    with_everything.put_event(12.5, "!", "refused \ud800")
    with_everything.put_proof(b"one", b"other")
    with_everything.put_trust([(BOB, 0.25, 7)])
    with_everything.close()

    reopened = Store.open(tmp_path, FEDERATION, ALICE)
    assert reopened.records() == [b"record"]
    assert reopened.last_sequences() == {BOB: 2**63 - 1}
    assert reopened.manifests(BOB) == [b"manifest"]
    assert reopened.rounds() == [a_round(0)] == [reopened.last_round()]
    assert reopened.events() == [(12.5, "!", "refused ?")]
    assert reopened.proofs() == [(b"one", b"other")]
    assert reopened.trust() == [(BOB, 0.25, 7)]
    reopened.close()


def test_boots_are_counted_and_may_be_told_to_jump_but_never_fall(tmp_path):
    boots = []
    for at_least in (1, 1, 50, 7):
        store = Store.open(tmp_path, FEDERATION, ALICE)
        boots.append(store.begin_boot(at_least))
        store.close()
    assert boots == [1, 2, 50, 51]


def test_a_boot_is_flushed_to_the_disk_before_it_is_told(store):
    """A power cut cannot be had in a test; what SQLite was asked to do, and in which order, can be seen."""
    said = []
    store._connection.set_trace_callback(said.append)
    store.begin_boot()
    store._connection.set_trace_callback(None)
    order = [said.index(word) for word in ("PRAGMA synchronous = FULL", "COMMIT", "PRAGMA synchronous = NORMAL")]
    assert order == sorted(order)


def test_a_fresh_store_has_no_last_round(store):
    assert store.last_round() is None
    assert store.rounds() == []


def test_only_the_newest_record_of_a_peer_is_kept(store):
    store.put_records([(BOB, 5, b"five"), (BOB, 4, b"four"), (ALICE, 1, b"one")])
    store.put_records([(BOB, 6, b"six")])
    assert store.records() == [b"six", b"one"], "the last put comes first"


def test_a_record_that_is_dropped_is_gone_and_may_come_again(store):
    store.put_records([(BOB, 5, b"five"), (ALICE, 1, b"one")])
    store.drop_records([BOB])
    store.drop_records([BOB])
    assert store.records() == [b"one"]
    store.put_records([(BOB, 4, b"four")])
    assert store.records() == [b"four", b"one"]


def test_the_number_of_remembered_peers_is_bounded(store, monkeypatch):
    monkeypatch.setattr(stores, "RECORDS_MAX", 5)
    store.put_records((peer(n), 1, bytes([n])) for n in range(8))
    assert store.records() == [bytes([n]) for n in (7, 6, 5, 4, 3)]


def test_manifests_are_pruned_per_signer_and_their_last_sequence_is_not(store):
    for sequence in range(stores.MANIFESTS_PER_SIGNER_MAX + 6):
        store.put_manifest(BOB, sequence, "delta", sequence, sequence.to_bytes(4, "big"))
    store.put_manifest(BOB, 3, "delta", 3, b"late")
    kept = [int.from_bytes(envelope, "big") for envelope in store.manifests(BOB)]
    assert kept == list(range(6, stores.MANIFESTS_PER_SIGNER_MAX + 6))
    assert store.last_sequences() == {BOB: stores.MANIFESTS_PER_SIGNER_MAX + 5}


def test_a_crowd_of_signers_displaces_who_was_silent_longest(store, monkeypatch):
    monkeypatch.setattr(stores, "SIGNERS_MAX", 2)
    for n in (1, 2, 1, 3):
        store.put_manifest(peer(n), n, "delta", 0, bytes([n]))
    assert store.last_sequences() == {peer(1): 1, peer(3): 3}
    assert store.manifests(peer(2)) == []


def test_events_proofs_and_rounds_are_bounded(store, monkeypatch):
    for name in ("EVENTS_MAX", "PROOFS_MAX", "ROUNDS_MAX"):
        monkeypatch.setattr(stores, name, 3)
    for n in range(6):
        store.put_event(float(n), "=", "x" * (stores.EVENT_CHARACTERS_MAX + 1))
        store.put_proof(bytes([n]), b"other")
        store.put_round(a_round(n))
    assert [time_s for time_s, _, _ in store.events()] == [3.0, 4.0, 5.0]
    assert {len(text) for _, _, text in store.events()} == {stores.EVENT_CHARACTERS_MAX}
    assert len(store.proofs()) == 3
    assert [row.round for row in store.rounds()] == [3, 4, 5]


def test_opinions_of_peers_are_bounded_and_the_newest_of_each_counts(store, monkeypatch):
    monkeypatch.setattr(stores, "TRUST_MAX", 2)
    store.put_trust([(peer(1), 0.5, 1), (peer(2), 0.6, 1)])
    store.put_trust([(peer(1), 0.1, 2), (peer(3), 0.9, 2)])
    assert store.trust() == [(peer(1), 0.1, 2), (peer(3), 0.9, 2)], "who was heard last is remembered longest"


def test_one_contradiction_is_one_proof_whichever_side_came_first(store):
    store.put_proof(b"one", b"other")
    store.put_proof(b"other", b"one")
    assert store.proofs() == [(b"one", b"other")]


def test_a_second_node_on_one_directory_is_told_who_is_there(tmp_path, store):
    with pytest.raises(StateError, match=rf"in use by a running node \(pid {os.getpid()}\)"):
        Store.open(tmp_path / "state", FEDERATION, ALICE)


def test_a_closed_store_frees_its_directory(tmp_path):
    for _ in range(2):
        store = Store.open(tmp_path, FEDERATION, ALICE)
        store.close()
        store.close()


def test_a_refused_open_frees_the_directory(tmp_path):
    Store.open(tmp_path, FEDERATION, ALICE).close()
    with pytest.raises(StateError):
        Store.open(tmp_path, FEDERATION, BOB)
    Store.open(tmp_path, FEDERATION, ALICE).close()


def test_the_directory_of_another_federation_or_key_is_refused(tmp_path):
    Store.open(tmp_path, FEDERATION, ALICE).close()
    stranger = federations.Federation(name="other", id="cd" * 16)
    with pytest.raises(StateError, match="another federation than 'other'"):
        Store.open(tmp_path, stranger, ALICE)
    with pytest.raises(StateError, match=f"another key than {BOB.short}"):
        Store.open(tmp_path, FEDERATION, BOB)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"not a database " * 999,
        lambda content: content[: len(content) // 2],
        lambda content: content[:4096] + b"\xff" * 8192 + content[12288:],
    ],
    ids=["another file", "cut in half", "pages overwritten"],
)
def test_a_damaged_store_says_what_to_move_away(tmp_path, damage):
    store = Store.open(tmp_path, FEDERATION, ALICE)
    for n in range(50):
        store.put_round(a_round(n))
    store.close()
    path = tmp_path / database.FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StateError, match=r"is damaged \(.+\): move it away"):
        Store.open(tmp_path, FEDERATION, ALICE)


def test_a_store_of_a_later_version_is_refused_for_writing_and_reading(tmp_path):
    Store.open(tmp_path, FEDERATION, ALICE).close()
    connection = sqlite3.connect(tmp_path / database.FILE)
    connection.execute(f"PRAGMA user_version = {database.SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(StateError, match="schema version 4 and this program reads 3"):
        Store.open(tmp_path, FEDERATION, ALICE)
    with pytest.raises(StateError, match="schema version 4"):
        read_rounds(tmp_path)


def test_a_store_of_an_earlier_version_is_refused_and_left_as_it_is(tmp_path):
    Store.open(tmp_path, FEDERATION, ALICE).close()
    with contextlib.closing(sqlite3.connect(tmp_path / database.FILE)) as connection:
        connection.execute("ALTER TABLE rounds DROP COLUMN heard_from")
        connection.execute("PRAGMA user_version = 1")
    before = (tmp_path / database.FILE).read_bytes()
    with pytest.raises(StateError, match="schema version 1 and this program reads 3: run the version"):
        Store.open(tmp_path, FEDERATION, ALICE)
    assert (tmp_path / database.FILE).read_bytes() == before


def test_a_store_that_is_just_being_made_has_no_rounds_yet(tmp_path):
    (tmp_path / database.FILE).touch()
    assert read_rounds(tmp_path) == []


def test_a_place_that_cannot_hold_a_store_is_the_users_mistake(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot use the state directory"):
        Store.open(tmp_path / "file", FEDERATION, ALICE)
    (tmp_path / "state" / database.FILE).mkdir(parents=True)
    with pytest.raises(StateError, match="fix its permissions"):
        Store.open(tmp_path / "state", FEDERATION, ALICE)


def test_reading_where_no_node_has_run_is_the_users_mistake(tmp_path):
    with pytest.raises(StateError, match="holds no store"):
        read_rounds(tmp_path)
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_another_process_reads_rounds_while_the_node_writes(tmp_path, store):
    for n in range(3):
        store.put_round(a_round(n))
    program = "import sys, pathlib; from gossipfl.node.store import read_rounds\n" \
              "print([row.round for row in read_rounds(pathlib.Path(sys.argv[1]), 0)])"
    answer = subprocess.run([sys.executable, "-c", program, tmp_path / "state"], capture_output=True, check=True)
    assert answer.stdout.strip() == b"[1, 2]"


def test_an_ended_nodes_rounds_can_be_read(tmp_path):
    store = Store.open(tmp_path, FEDERATION, ALICE)
    row = a_round(7, accuracy=None, distance=0.125, sketch=b"\1" * 1024, heard_from=bytes(BOB), late_from=bytes(ALICE))
    store.put_round(row)
    store.close()
    assert read_rounds(tmp_path) == [row]
    assert (row.heard_from, row.refused_from) == (BOB, b"")


def test_threads_may_share_a_store(store):
    def write(thread: int) -> None:
        for n in range(40):
            store.put_round(a_round(100 * thread + n))
            store.put_manifest(BOB, 100 * thread + n, "delta", n, b"envelope")

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.rounds()) == 160
    assert store.last_sequences() == {BOB: 339}


def test_a_killed_node_loses_nothing_it_had_put(tmp_path):
    """Four times: boot, write rounds, die by signal 9 in the middle of writing."""
    reported = -1
    for boot in range(1, 5):
        last = _run_until_killed(tmp_path, boot, first=reported + 1, rounds=20 * boot)
        rows = read_rounds(tmp_path)
        assert [row.round for row in rows] == list(range(len(rows)))
        assert rows[-1].round >= last > reported, "what was put before the kill is there"
        reported = rows[-1].round
    store = Store.open(tmp_path, FEDERATION, ALICE)
    assert store.begin_boot() == 5
    assert store.last_round() == a_round(reported)
    store.close()


_VICTIM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import ALICE, FEDERATION, Store, a_round
store = Store.open(Path(sys.argv[1]), FEDERATION, ALICE)
print("boot", store.begin_boot(), flush=True)
for number in range(int(sys.argv[3]), 10**9):
    store.put_round(a_round(number))
    print(number, flush=True)
"""


def _run_until_killed(state, boot: int, first: int, rounds: int) -> int:
    """A process that writes rounds until it has reported `rounds` of them and is killed; the last one reported."""
    arguments = [sys.executable, "-c", _VICTIM, state, os.path.dirname(__file__), str(first)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == f"boot {boot}\n"
        last = first - 1
        for _ in range(rounds):
            last = int(victim.stdout.readline())
        victim.send_signal(signal.SIGKILL)
        victim.stdout.read()
    assert victim.returncode == -signal.SIGKILL
    return last


def peer(number: int):
    return Identity.from_seed(bytes([100 + number]) * 32).peer_id


def test_a_node_starts_with_all_that_its_store_remembers(store, tmp_path):
    from gossipfl.config import NodeConfig
    from gossipfl.node import log
    from gossipfl.node.node import Node

    alice = Identity.from_seed(bytes([1]) * 32)
    store.put_records([(BOB, 1, b"record")])
    store.put_manifest(BOB, 7, "delta", 0, b"manifest")
    store.put_trust([(BOB, 0.25, 3)])
    store.put_proof(b"one", b"other")
    node = Node(FEDERATION, NodeConfig(), tmp_path / "state", alice, store, log.Recent(), None, None)
    node.addresses = ()
    setup = node._setup()
    assert (setup.boots, setup.records, setup.sequences) == (1, (b"record",), ((BOB, 7),))
    assert (setup.trust, setup.proofs) == (((BOB, 0.25, 3),), ((b"one", b"other"),))
