"""Real daemons for the benchmarks: started as a user starts them, timed by what they write to their log.

Everything stays on loopback.  A daemon is stopped with the `with` that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gossipfl import config, federation
from gossipfl.config import DiscoveryConfig, ModelConfig, NodeConfig

PATIENCE_S = 120.0
LOOPBACK = "127.0.0.1"
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Daemon:
    """One process of `gossipfl node`."""

    def __init__(self, process: subprocess.Popen[str], state: Path, started_at: float) -> None:
        self.process, self.state, self._started_at = process, state, started_at

    def seconds_until(self, words: str) -> float:
        """Seconds from the command to the first line of the log with `words`.  Ask in the order of the log."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            if words in line:
                return time.perf_counter() - self._started_at
            seen.append(line)
        raise RuntimeError(f"the daemon ended without {words!r}:\n{''.join(seen[-5:])}")

    def busy_s(self) -> float:
        """CPU seconds so far: what a start costs on a machine that others use."""
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
    try:
        yield Daemon(process, state, started_at)
    finally:
        _end(process)


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


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    assert process.stderr is not None
    reader: IO[str] = process.stderr
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    reader.close()
