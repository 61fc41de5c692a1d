"""What every peer left behind: its rounds, its final model, its last words.

Reads nothing but the files in a peer's own directory, so a killed peer tells as much as one that ended well.  Decides
who is missing, and who is so because the scenario wanted it.  What the numbers add up to is decided in report/.
"""

from __future__ import annotations

import signal
from collections.abc import Collection, Sequence
from pathlib import Path

from gossipfl.errors import StateError
from gossipfl.node import checkpoint
from gossipfl.scenario.directories import LOG_FILE
from gossipfl.scenario.outcome import Outcome, Vector
from gossipfl.scenario.plan import Peer, Plan
from gossipfl.scenario.processes.running import Running

TAIL_LINES = 5
_TAIL_BYTES = 4096


def collect(plan: Plan, out: Path, peers: Sequence[Running], for_good: Collection[int]) -> list[Outcome]:
    """The outcome of every peer, in the order of their numbers.

    peers: those that were launched.  for_good: those that the scenario took away and was not to bring back.
    """
    running = {one.peer.number: one for one in peers}
    rounds = plan.spec.scenario.rounds
    return [
        _outcome(running[peer.number], rounds, peer.number in for_good) if peer.number in running else _unseen(peer)
        for peer in plan.peers
    ]


def _outcome(running: Running, rounds: int, is_removed: bool) -> Outcome:
    exit_code = running.process.returncode
    assert exit_code is not None, "a peer that still runs has no outcome"
    vector, trouble = _final_vector(running.directory)
    missing = _reason(running, exit_code, rounds) or trouble
    return Outcome(
        peer=running.peer,
        rows=running.rows,
        vector=vector,
        exit_code=exit_code,
        missing=missing,
        removed=bool(missing) and is_removed,
        last_words=last_lines(running.directory / LOG_FILE) if missing else (),
    )


def _unseen(peer: Peer) -> Outcome:
    """A peer that was to join, and whose moment did not come."""
    return Outcome(peer=peer, rows=(), vector=None, exit_code=0, missing="never joined")


def _reason(running: Running, exit_code: int, rounds: int) -> str:
    """Why a peer is missing, or "" for one that did all its rounds and ended well."""
    done = running.round + 1
    if exit_code == 0 and done >= rounds and not running.stopped:
        return ""
    where = f"after {done} of {rounds} rounds"
    if running.stopped or running.removed:
        return f"{running.stopped or running.removed}, {where}"
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name} {where}"
    return f"ended with exit code {exit_code} {where}"


def _final_vector(directory: Path) -> tuple[Vector | None, str]:
    try:
        found = checkpoint.load(directory / checkpoint.FILE)
    except StateError as error:
        return None, str(error)
    return (None, "saved no model") if found is None else (found[0]["vector"], "")


def last_lines(log: Path) -> list[str]:
    """The last TAIL_LINES lines of a log, or of what there is of it."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
