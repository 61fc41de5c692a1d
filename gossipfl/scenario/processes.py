"""The engine "processes": real daemons with real keys, sockets and mDNS, one process per peer, on this machine.

Decides how daemons are laid out on disk, launched, watched and ended.  There is no server in what they do: this engine
reads only the files that every peer writes for itself, and a peer that fails is reported, never waited for in vain.
Who the peers are is decided in plan.py, what their files say in collect.py, what came of it in report.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gossipfl.config import to_tables, to_toml
from gossipfl.errors import StateError
from gossipfl.federation import save as save_federation
from gossipfl.node.store import RoundRow, read_rounds
from gossipfl.scenario.plan import Peer, Plan

POLL_S = 0.1                    # between two looks at the processes
READ_S = 0.5                    # between two readings of their files, which cost about 1 ms each
STOP_S = 5.0                    # from SIGTERM to SIGKILL
FEDERATION_FILE = "federation.toml"
LOG_FILE = "log.txt"
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@dataclass(slots=True)
class Running:
    """One peer's process as seen from outside.  A tool may kill it by its pid: that is what `on_poll` is for."""

    peer: Peer
    directory: Path
    process: subprocess.Popen[bytes]
    rows: list[RoundRow] = field(default_factory=list)
    ready_s: float | None = None                    # since launch of the first: listening
    ended_s: float | None = None                    # since launch of the first
    stopped: str = ""                               # why this engine ended it, if it did

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def round(self) -> int:
        """The last round it finished, -1 before the first."""
        return self.rows[-1].round if self.rows else -1

    @property
    def is_running(self) -> bool:
        return self.process.returncode is None

    def look(self, elapsed_s: float) -> None:
        """Notice that it listens or has ended."""
        if self.ended_s is None and self.process.poll() is not None:
            self.ended_s = elapsed_s
        if self.ready_s is None and (self.directory / "node.json").exists():
            self.ready_s = elapsed_s

    def read(self) -> None:
        """Catch up with its rounds.  Before its store exists, or while it is being made, there is nothing to catch."""
        try:
            self.rows += read_rounds(self.directory, self.round)
        except StateError:
            return


OnView = Callable[[Sequence[Running], float], None]
OnPoll = Callable[[Sequence[Running]], None]


def prepare(plan: Plan, out: Path) -> None:
    """Write every peer's directory: key, options, federation.  Raises StateError if `out` holds anything."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StateError(f"{out} is not an empty directory: name another one or move it away")
    for peer in plan.peers:
        directory = directory_of(out, peer)
        directory.mkdir(parents=True, mode=0o700)
        peer.identity.save(directory / "key")
        (directory / "node.toml").write_text(to_toml(to_tables(peer.node)), encoding="utf-8")
    save_federation(plan.federation, out / FEDERATION_FILE)


def directory_of(out: Path, peer: Peer) -> Path:
    """The state directory of one peer."""
    return out / "peers" / f"{peer.number:02d}"


def execute(plan: Plan, out: Path, on_view: OnView, on_poll: OnPoll | None = None) -> list[Running]:
    """Run all peers of `plan`, prepared in `out`, until they end or the scenario's time is up.

    `on_view(peers, elapsed_s)` is told twice a second what is known; `on_poll(peers)` ten times a second, with fresh
    rounds, and may kill.  However this returns, no peer is left running.  Raises KeyboardInterrupt when signalled.
    """
    peers: list[Running] = []
    waiting = list(plan.peers)
    with _signals_held() as signalled, _ending(peers):
        started = time.monotonic()
        next_view_s = 0.0
        while waiting or any(peer.is_running for peer in peers):
            elapsed_s = time.monotonic() - started
            _launch(waiting, peers, plan, out)
            for peer in peers:
                peer.look(elapsed_s)
            if on_poll is not None:
                _read(peers)
                on_poll(peers)
            if elapsed_s >= next_view_s:
                next_view_s = elapsed_s + READ_S
                _read(peers)
                on_view(peers, elapsed_s)
            if elapsed_s > plan.spec.scenario.timeout_s:
                waiting.clear()
                stop(peers, f"stopped after {plan.spec.scenario.timeout_s:g} s, the scenario's timeout_s")
            if signalled():
                raise KeyboardInterrupt
            time.sleep(POLL_S)
        _read(peers)
        on_view(peers, time.monotonic() - started)
    return peers


def stop(peers: Sequence[Running], why: str) -> None:
    """End every peer that still runs, by its pid: SIGTERM first, and SIGKILL for whoever is there STOP_S later."""
    running = [peer for peer in peers if peer.process.poll() is None]
    for peer in running:
        peer.stopped = why
        peer.process.terminate()
    deadline = time.monotonic() + STOP_S
    try:
        while any(peer.process.poll() is None for peer in running) and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        for peer in running:
            if peer.process.poll() is None:
                peer.process.kill()
            peer.process.wait()


def command(plan: Plan, peer: Peer, out: Path) -> list[str]:
    """The command line of one peer's daemon; a liar's names its attack."""
    directory = directory_of(out, peer)
    files = ["--federation", str(out / FEDERATION_FILE), "--state", str(directory)]
    files += ["--config", str(directory / "node.toml")]
    if peer.liar is None:
        return [sys.executable, "-m", "gossipfl", "node", *files, "--data", peer.node.data.source]
    options = msgspec.json.encode(peer.liar.options).decode()
    module = "gossipfl.scenario.liar_node"
    return [sys.executable, "-m", module, "--attack", peer.liar.attack, "--options", options, *files]


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a daemon that shares its cores with many others: one thread each for linear algebra.

    The flags are part of a compiled program's name in the cache: whoever shares them compiles nothing twice.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    flags = inherited.get("XLA_FLAGS", "")
    if _ONE_THREAD not in flags:
        flags = f"{flags} {_ONE_THREAD}".strip()
    return {**inherited, **threads, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def _launch(waiting: list[Peer], peers: list[Running], plan: Plan, out: Path) -> None:
    """Start the next peers, but no more of them at a time than the cores can start.

    Started all at once, each would compile the same program.  In turns, the first one's results lie in the compile
    cache when the others look for them, and no core is idle meanwhile.
    """
    starting = sum(peer.is_running and peer.ready_s is None for peer in peers)
    starters_max = (os.cpu_count() or 1) + 1
    for _ in range(min(len(waiting), starters_max - starting)):
        peer = waiting.pop(0)
        directory = directory_of(out, peer)
        with (directory / LOG_FILE).open("wb") as log:
            process = subprocess.Popen(
                command(plan, peer, out),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(os.environ),
                start_new_session=True,             # Ctrl-C is for the parent, which ends each child in its turn
            )
        peers.append(Running(peer, directory, process))


def _read(peers: Sequence[Running]) -> None:
    for peer in peers:
        peer.read()


@contextmanager
def _ending(peers: Sequence[Running]) -> Iterator[None]:
    try:
        yield
    finally:
        stop(peers, "stopped with the run")


@contextmanager
def _signals_held() -> Iterator[Callable[[], bool]]:
    """Turn signals that would end this process into an answer to the question whether one came.

    An exception in the middle of a launch could lose a child's pid.  Other threads get no signals and need no care.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came = threading.Event()
    before = {number: signal.signal(number, lambda *_: came.set()) for number in _ENDING_SIGNALS}
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
