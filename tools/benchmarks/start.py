"""How long a daemon needs from its command until others can find it, and until its first round is trained.

The compile cache is warm: one start that is not counted fills it.  Beside the clock stands the CPU time, which other
programs on the machine hardly change.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import daemons
from benchmarks.daemons import Line
from benchmarks.figures import Figure, Result, progress, watched
from gossipfl.config import DataConfig, ModelConfig, NodeConfig, RoundConfig

ANNOUNCED_AIM_S = 1.5
ANNOUNCED, TRAINED = "listens on", "round 0: update of"
MODEL = ModelConfig(name="mlp", inputs=(64,), hidden=(64,), classes=10)
_LIBRARIES = "import asyncio, msgpack, msgspec, nacl.bindings, numpy, sqlite3, typer, zeroconf.asyncio"
_TRAINING = f"{_LIBRARIES}, jax, optax"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How often."""

    runs: int = 5
    warm_ups: int = 1


QUICK = Sizes(runs=1, warm_ups=0)


def run(sizes: Sizes) -> Result:
    """Start daemons one after another."""
    result = Result(benchmark="start")
    count = sizes.warm_ups + sizes.runs
    progress(f"start: {count} daemons, one after another")
    with watched(result), daemons.folder() as folder:
        starts = [_start(folder / f"{number}") for number in range(count)][sizes.warm_ups :]
        floors = [[_import_s(words) for _ in range(sizes.runs)] for words in (_LIBRARIES, _TRAINING)]
    for name, lines, floor, what, aim in (
        ("announced", [start[0] for start in starts], floors[0], "that a node listens with", ANNOUNCED_AIM_S),
        ("first round", [start[1] for start in starts], floors[1], "that a node trains with", None),
    ):
        result.figures += [
            Figure(
                name=name, unit="s", runs=tuple(line.at_s for line in lines), aim=aim, floor=min(floor),
                floor_of=f"{name}: Python importing the libraries {what}",
            ),
            Figure(name="  CPU", unit="s", runs=tuple(line.busy_s for line in lines)),
        ]  # fmt: skip
    return result


def _start(where: Path) -> tuple[Line, Line]:
    """A new peer, alone: its lines when announced and when its first round is done."""
    where.mkdir()
    options = NodeConfig(
        listen=f"{daemons.LOOPBACK}:0", data=DataConfig(source="digits"), discovery=daemons.on_loopback(),
        round=RoundConfig(rounds=1, start_neighbors=0),
    )  # fmt: skip
    federation = daemons.new_federation(where, MODEL)
    with daemons.running(federation, where / "state", options) as daemon:
        return daemon.line(ANNOUNCED), daemon.line(TRAINED)


def _import_s(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began
