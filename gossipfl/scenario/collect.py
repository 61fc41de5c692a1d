"""What every peer left behind: its rounds, its final model, its last words.

Reads nothing but the files in a peer's own directory, so a killed peer tells as much as one that ended well.  Decides
who counts as missing.  What the numbers add up to is decided in report.py.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gossipfl.errors import StateError
from gossipfl.node import checkpoint
from gossipfl.node.store import RoundRow
from gossipfl.scenario.plan import Peer
from gossipfl.scenario.processes import LOG_FILE, Running

Vector = npt.NDArray[np.float32]

CHECKPOINT_FILE = "checkpoint.safetensors"
TAIL_LINES = 5
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One peer after the run."""

    peer: Peer
    rows: Sequence[RoundRow]
    vector: Vector | None                       # its final mixed model, None if it saved none that can be read
    exit_code: int                              # negative: killed by that signal
    missing: str = ""                           # why it did not finish as planned, "" if it did
    last_words: Sequence[str] = ()              # the end of a missing peer's log

    @property
    def rounds(self) -> int:
        """How many rounds it finished, counted from 0."""
        return self.rows[-1].round + 1 if self.rows else 0

    @property
    def finished(self) -> bool:
        return not self.missing


def collect(peers: Sequence[Running], rounds: int) -> list[Outcome]:
    """The outcome of every peer of a run of `rounds` rounds, in the order of their numbers."""
    return [_outcome(peer, rounds) for peer in sorted(peers, key=lambda peer: peer.peer.number)]


def _outcome(running: Running, rounds: int) -> Outcome:
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
        last_words=last_lines(running.directory / LOG_FILE) if missing else (),
    )


def _reason(running: Running, exit_code: int, rounds: int) -> str:
    """Why a peer is missing, or "" for one that did all its rounds and ended well."""
    done = running.round + 1
    if exit_code == 0 and done >= rounds and not running.stopped:
        return ""
    where = f"after {done} of {rounds} rounds"
    if running.stopped:
        return f"{running.stopped}, {where}"
    if exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name} {where}"
    return f"ended with exit code {exit_code} {where}"


def _final_vector(directory: Path) -> tuple[Vector | None, str]:
    try:
        found = checkpoint.load(directory / CHECKPOINT_FILE)
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
