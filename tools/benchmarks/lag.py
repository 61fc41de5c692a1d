"""How late the event loop of a daemon runs while the daemon trains: what its status page says of itself.

Two daemons, so that updates flow; a model of 784-512-10 and several passes over the data per round, so that the
learning thread computes nearly all the time.  MNIST where $GOSSIPFL_DATA has it, else noise of the same shape: the
figure does not depend on what is learned.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import daemons
from benchmarks.daemons import Daemon
from benchmarks.figures import Figure, Result, progress, watched
from gossipfl.config import DataConfig, ModelConfig, NodeConfig, RoundConfig, TrainingConfig
from gossipfl.learning.data import data_root

P99_AIM_MS = 5.0
MODEL = ModelConfig(name="mlp", inputs=(784,), hidden=(512,), classes=10)
_PARTS = ("p50", "p99", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How long, and how heavy."""

    seconds: float = 40.0                    # of training, after the first round
    epochs: int = 3
    examples: int = 24_000                   # of noise
    use_mnist: bool = True


QUICK = Sizes(seconds=1.0, epochs=1, examples=512, use_mnist=False)


def run(sizes: Sizes) -> Result:
    """Let two daemons train, and ask both at the end."""
    result = Result(benchmark="lag")
    progress(f"lag: two daemons train for {sizes.seconds:g} s")
    with watched(result), daemons.folder() as folder, ExitStack() as stack:
        source = _source(sizes, folder)
        pair = _pair(stack, folder, source, sizes)
        for daemon in pair:
            daemon.line("mixed round 0")
        time.sleep(sizes.seconds)
        statuses = [daemon.ask("/status") for daemon in pair]
    result.figures += [_figure(name, statuses) for name in _PARTS]
    rounds = [status["round"] for status in statuses]
    result.notes.append(f"{Path(source).name}, {sizes.epochs} epochs a round; rounds done: {rounds[0]} and {rounds[1]}")
    return result


def _pair(stack: ExitStack, folder: Path, source: str, sizes: Sizes) -> list[Daemon]:
    federation = daemons.new_federation(folder, MODEL)
    pair: list[Daemon] = []
    for part in range(2):
        options = NodeConfig(
            listen=f"{daemons.LOOPBACK}:0", data=DataConfig(source=source, split="iid", peers=2, part=part),
            training=TrainingConfig(epochs=sizes.epochs), round=RoundConfig(start_neighbors=1),
            discovery=daemons.on_loopback(),
        )  # fmt: skip
        pair.append(stack.enter_context(daemons.running(federation, folder / f"{part}", options)))
    return pair


def _source(sizes: Sizes, folder: Path) -> str:
    if sizes.use_mnist and (data_root() / "mnist").is_dir():
        return "mnist"
    dice = np.random.default_rng(1)
    x = dice.integers(0, 256, (sizes.examples, *MODEL.inputs), np.uint8)
    path = folder / "noise.npz"
    np.savez(path, x=x, y=dice.integers(0, MODEL.classes, sizes.examples))
    return str(path)


def _figure(part: str, statuses: list[dict[str, Any]]) -> Figure:
    return Figure(
        name=f"loop lag, {part}", unit="ms", runs=tuple(status["loop_lag_ms"][part] for status in statuses),
        aim=P99_AIM_MS if part == "p99" else None,
    )  # fmt: skip
