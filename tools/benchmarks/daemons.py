"""Real daemons for the benchmarks: started as a user starts them, timed by what they write to their log.

Everything stays on loopback.  A daemon is stopped with the `with` that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from gossipfl import config, federation
from gossipfl.config import DiscoveryConfig, ModelConfig, NodeConfig
from gossipfl.node.status import fetch, read_node_file

PATIENCE_S = 120.0
LOOPBACK = "127.0.0.1"
_END_S = 10.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Line(NamedTuple):
    """A line of a daemon's log."""

    text: str
    at_s: float                              # since the command was given
    busy_s: float                            # CPU seconds that the daemon had used by then


class Daemon:
    """One process of `gossipfl node`."""

    def __init__(self, process: subprocess.Popen[str], state: Path, started_at: float) -> None:
        self.process, self.state, self._started_at = process, state, started_at
        self._lines: list[Line] = []
        self._news = threading.Condition()
        # Read by a thread of its own: a daemon must never wait for whoever reads its log.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def line(self, words: str) -> Line:
        """The first line of the log with `words`, waited for.  Raises RuntimeError if it does not come."""
        with self._news:
            self._news.wait_for(lambda: self._find(words) or not self._reader.is_alive(), PATIENCE_S)
        found = self._find(words)
        if found is None:
            raise RuntimeError(f"the daemon did not say {words!r}:\n" + "".join(line.text for line in self._lines[-5:]))
        return found

    def ask(self, page: str) -> Any:
        """What its status page `page` says."""
        return fetch(read_node_file(self.state)["status"] + page)

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        self.process.terminate()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()

    def _find(self, words: str) -> Line | None:
        return next((line for line in self._lines if words in line.text), None)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as log:
            for text in log:
                self._add(Line(text, time.perf_counter() - self._started_at, self._busy_s()))
        with self._news:
            self._news.notify_all()

    def _add(self, line: Line) -> None:
        with self._news:
            self._lines.append(line)
            self._news.notify_all()

    def _busy_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


@contextmanager
def running(federation_file: Path, state: Path, options: NodeConfig) -> Iterator[Daemon]:
    """Start a daemon, and end it afterwards."""
    state.mkdir(parents=True)
    file = state.with_suffix(".toml")
    file.write_text(config.to_toml(config.to_tables(options)), encoding="utf-8")
    words = ["node", "--federation", str(federation_file), "--state", str(state), "--config", str(file)]
    started_at = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "gossipfl", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    daemon = Daemon(process, state, started_at)
    try:
        yield daemon
    finally:
        daemon.end()


@contextmanager
def folder() -> Iterator[Path]:
    """A directory for states and federations, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="gossipfl-bench-") as name:
        yield Path(name)


def new_federation(where: Path, model: ModelConfig) -> Path:
    """A federation's file."""
    path = where / "federation.toml"
    federation.save(federation.new("bench", model=model), path)
    return path


def on_loopback(*, peers: tuple[str, ...] = (), mdns: bool = True) -> DiscoveryConfig:
    return DiscoveryConfig(mdns=mdns, interfaces=(LOOPBACK,), peers=peers)

