"""What a node must not forget: who it met, what they signed, its rounds and its audit trail.  SQLite, crash-safe.

Decides what is kept, how much of it, and what survives which accident: after a killed process everything that was
put, after a power cut everything but the last moments, and the count of boots always.  Ignores what the rows mean:
protocol/ does.  The tables are defined in node/database.py, the model itself lies beside them (node/checkpoint.py).
Every method may block on the disk: call it from a worker thread.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from gossipfl.errors import StateError
from gossipfl.federation import Federation
from gossipfl.identity import PeerId
from gossipfl.node import database
from gossipfl.node.database import FILE, translated
from gossipfl.protocol.proofs import PROOFS_MAX
from gossipfl.protocol.trust import TRUST_MAX

RECORDS_MAX = 4096                              # peers remembered; as many as a directory holds by default
SIGNERS_MAX = 4096                              # whose manifests and last sequences are kept
MANIFESTS_PER_SIGNER_MAX = 64
ROUNDS_MAX = 100_000                            # 170 MB with six neighbors, eleven days of a round each 10 s
EVENTS_MAX = 10_000
EVENT_CHARACTERS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One round as its peer lived it.  Counters of bytes run since the first boot of the state directory."""

    round: int
    time_s: float                               # Unix time of the mixing
    accuracy: float | None                      # on the own test examples, 0..1
    loss: float | None
    train_loss: float | None
    expected: int                               # neighbors whose update was awaited
    heard: int
    late: int
    refused: int
    bytes_sent: int                             # cumulative
    control_bytes_sent: int                     # cumulative
    rss_mb: float
    busy_s: float                               # training and mixing
    wait_s: float                               # for neighbors
    distance: float | None                      # root mean square over neighbors of ||p_j - p_i||
    sketch: bytes                               # (256,) float32: a projection that tells how far models are apart
    heard_from: bytes = b""                     # peer IDs of 32 bytes each, ascending: whose updates were mixed in ...
    late_from: bytes = b""                      # ... who was awaited in vain ...
    refused_from: bytes = b""                   # ... and whose model was broken, screened out or too old
    verdicts: bytes = b""                       # on each neighbor's model, as verdicts.pack writes them
    gain: float | None = None                   # my accuracy minus my twin's on what was held back, where compared
    isolated: int = 0                           # 1: nothing is mixed any more, because my twin was better


_ROUND_COLUMNS = ", ".join(field.name for field in fields(RoundRow))
_ROUND_PLACES = ", ".join("?" for _ in fields(RoundRow))


class Store:
    """The state directory of one peer in one federation, held by one process.  Made by `open`, ended by `close`."""

    def __init__(self, state: Path, lock_descriptor: int, connection: sqlite3.Connection) -> None:
        self._path = state / FILE
        self._lock_descriptor = lock_descriptor
        self._connection = connection
        self._turn = threading.Lock()

    @classmethod
    def open(cls, state: Path, federation: Federation, peer_id: PeerId) -> Store:
        """The store in `state`, made if there is none.

        Raises StateError if another running node holds the directory, if it belongs to another federation or key,
        or if it is damaged or of another version.
        """
        lock_descriptor = database.lock(state)
        try:
            connection = database.open_owned(state, federation, peer_id)
        except BaseException:
            os.close(lock_descriptor)
            raise
        return cls(state, lock_descriptor, connection)

    def close(self) -> None:
        """Give the directory back.  May be called twice."""
        with self._turn:
            if self._lock_descriptor < 0:
                return
            self._connection.close()
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def begin_boot(self, at_least: int = 1) -> int:
        """Count a boot and return its number, from 1; on the disk before this returns.

        Own sequences are ``(boot << 32) + counter``, so they never go back, not even after a power cut.
        at_least: what a node that lost its store must exceed, if its neighbors told it.
        """
        with self._writing() as connection:
            # NORMAL may lose the last commits in a power cut; for this one the log is flushed.
            connection.execute("PRAGMA synchronous = FULL")
            try:
                boot = max(int.from_bytes(database.meta(connection, "boots") or b"", "big") + 1, at_least)
                with connection:
                    connection.execute("REPLACE INTO meta VALUES ('boots', ?)", (boot.to_bytes(8, "big"),))
            finally:
                connection.execute("PRAGMA synchronous = NORMAL")
        return boot

    def put_records(self, records: Iterable[tuple[PeerId, int, bytes]]) -> None:
        """Remember signed peer records (peer, sequence, envelope): newest per peer, the RECORDS_MAX last put."""
        rows = [(bytes(peer), sequence, envelope) for peer, sequence, envelope in records]
        with self._writing() as connection, connection:
            for peer, sequence, envelope in rows:
                connection.execute("DELETE FROM records WHERE peer = ? AND sequence < ?", (peer, sequence))
                connection.execute(
                    "INSERT OR IGNORE INTO records (peer, sequence, envelope) VALUES (?, ?, ?)",
                    (peer, sequence, envelope),
                )
            _keep_newest(connection, "records", RECORDS_MAX)

    def drop_records(self, peers: Collection[PeerId]) -> None:
        """Forget where some peers could be reached."""
        with self._writing() as connection, connection:
            connection.executemany("DELETE FROM records WHERE peer = ?", [(bytes(peer),) for peer in peers])

    def records(self) -> list[bytes]:
        """Envelopes of all remembered peer records, the last put first: those peers are the likeliest to answer."""
        return [envelope for (envelope,) in self._rows("SELECT envelope FROM records ORDER BY place DESC")]

    def put_manifest(self, signer: PeerId, sequence: int, kind: str, round: int, envelope: bytes) -> None:
        """Keep what a peer signed: its MANIFESTS_PER_SIGNER_MAX highest sequences, of the SIGNERS_MAX last heard."""
        with self._writing() as connection, connection:
            known = connection.execute("SELECT sequence FROM signers WHERE signer = ?", (bytes(signer),)).fetchone()
            highest = max(sequence, known[0]) if known else sequence
            connection.execute("REPLACE INTO signers (signer, sequence) VALUES (?, ?)", (bytes(signer), highest))
            connection.execute(
                "INSERT OR IGNORE INTO manifests VALUES (?, ?, ?, ?, ?)",
                (bytes(signer), sequence, kind, round, envelope),
            )
            connection.execute(
                "DELETE FROM manifests WHERE signer = ?1 AND sequence <= (SELECT sequence FROM manifests "
                "WHERE signer = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)",
                (bytes(signer), MANIFESTS_PER_SIGNER_MAX),
            )
            if known is None and _keep_newest(connection, "signers", SIGNERS_MAX):
                connection.execute("DELETE FROM manifests WHERE signer NOT IN (SELECT signer FROM signers)")

    def manifests(self, signer: PeerId) -> list[bytes]:
        """The kept envelopes of one signer, oldest first."""
        query = "SELECT envelope FROM manifests WHERE signer = ? ORDER BY sequence"
        return [envelope for (envelope,) in self._rows(query, (bytes(signer),))]

    def last_sequences(self) -> dict[PeerId, int]:
        """The highest sequence put per signer, longer remembered than its manifests: what replay is refused by."""
        return {PeerId(signer): sequence for signer, sequence in self._rows("SELECT signer, sequence FROM signers")}

    def put_round(self, row: RoundRow) -> None:
        with self._writing() as connection, connection:
            connection.execute(f"REPLACE INTO rounds ({_ROUND_COLUMNS}) VALUES ({_ROUND_PLACES})", astuple(row))
            connection.execute("DELETE FROM rounds WHERE round <= ?", (row.round - ROUNDS_MAX,))

    def rounds(self) -> list[RoundRow]:
        return _read_rounds(self._rows, after_round=-1)

    def last_round(self) -> RoundRow | None:
        rows = self._rows(f"SELECT {_ROUND_COLUMNS} FROM rounds ORDER BY round DESC LIMIT 1")
        return _round_row(rows[0]) if rows else None

    def put_event(self, time_s: float, mark: str, text: str) -> None:
        """Add a line to the audit trail; the EVENTS_MAX newest are kept."""
        with self._writing() as connection, connection:
            connection.execute(
                "INSERT INTO events (time_s, mark, text) VALUES (?, ?, ?)", (time_s, mark, _storable(text))
            )
            _keep_newest(connection, "events", EVENTS_MAX)

    def events(self, limit: int = EVENTS_MAX) -> list[tuple[float, str, str]]:
        """The newest `limit` events, oldest first: Unix time, mark, text."""
        rows = self._rows("SELECT time_s, mark, text FROM events ORDER BY place DESC LIMIT ?", (limit,))
        return [(time_s, mark, text) for time_s, mark, text in reversed(rows)]

    def put_proof(self, first: bytes, second: bytes) -> None:
        """Keep two envelopes of one signer that contradict each other.  The same pair is kept once."""
        with self._writing() as connection, connection:
            pair = sorted((first, second))
            connection.execute("INSERT OR IGNORE INTO proofs (first, second) VALUES (?, ?)", pair)
            _keep_newest(connection, "proofs", PROOFS_MAX)

    def proofs(self) -> list[tuple[bytes, bytes]]:
        return [(first, second) for first, second in self._rows("SELECT first, second FROM proofs ORDER BY place")]

    def put_trust(self, rows: Iterable[tuple[PeerId, float, int]]) -> None:
        """Keep what I think of peers (peer, score, round): newest per peer, the TRUST_MAX last put."""
        with self._writing() as connection, connection:
            connection.executemany(
                "REPLACE INTO trust (peer, score, round) VALUES (?, ?, ?)",
                [(bytes(peer), score, round_) for peer, score, round_ in rows],
            )
            _keep_newest(connection, "trust", TRUST_MAX)

    def trust(self) -> list[tuple[PeerId, float, int]]:
        """What was put, the last put at the end."""
        query = "SELECT peer, score, round FROM trust ORDER BY place"
        return [(PeerId(peer), score, round_) for peer, score, round_ in self._rows(query)]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._turn, translated(self._path):
            yield self._connection

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with self._turn, translated(self._path):
            return self._connection.execute(query, values).fetchall()


def read_rounds(state: Path, after_round: int = -1) -> list[RoundRow]:
    """The rounds after `after_round` in the store of another node, running, ended or killed; nothing is changed.

    A store that its node is just making has none yet.  Raises StateError if there is no store, or one that cannot be
    read.
    """
    path = state / FILE
    if not path.exists():
        raise StateError(f"{state} holds no store: name the state directory of a node that has run")
    with translated(path), contextlib.closing(database.open_foreign(path)) as connection:
        if not database.is_made(connection):
            return []
        return _read_rounds(lambda query, values: connection.execute(query, values).fetchall(), after_round)


def _keep_newest(connection: sqlite3.Connection, table: str, rows_max: int) -> int:
    """Delete all but the last `rows_max` rows put into `table`; returns how many went."""
    query = f"DELETE FROM {table} WHERE place <= (SELECT place FROM {table} ORDER BY place DESC LIMIT 1 OFFSET ?)"
    return connection.execute(query, (rows_max,)).rowcount


def _storable(text: str) -> str:
    """`text` cut to its bound, with what UTF-8 cannot hold (names of files, for one) replaced."""
    return text[:EVENT_CHARACTERS_MAX].encode("utf-8", "replace").decode()


def _read_rounds(rows: Any, after_round: int) -> list[RoundRow]:
    query = f"SELECT {_ROUND_COLUMNS} FROM rounds WHERE round > ? ORDER BY round"
    return [_round_row(row) for row in rows(query, (after_round,))]


def _round_row(row: tuple[Any, ...]) -> RoundRow:
    return RoundRow(**dict(zip((field.name for field in fields(RoundRow)), row, strict=True)))
