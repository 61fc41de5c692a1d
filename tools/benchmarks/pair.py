"""Two real daemons whose learning costs nothing, and what an update from one to the other takes.

    source: train -> announce                target: train -> wait for the source's update -> announce

Paced, one update at a time is under way: the source announces when the target has nothing else to do, the target
answers when it has that update.  Unpaced, both go as fast as rounds can.  The daemons are node.run_node in processes
of their own, told when to go on by their learner; times are those of their log lines, CPU times the kernel's (Linux).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.daemons import LOOPBACK, PATIENCE_S, folder, on_loopback
from gossipfl import federation
from gossipfl.config import DataConfig, ModelConfig, NodeConfig, RoundConfig
from gossipfl.federation import Federation
from gossipfl.learning.learner import Metrics, TrainReport
from gossipfl.node.daemon import run_node

SOURCE_LOOP, TARGET_LOOP, TARGET_HASHING = "source's loop", "target's loop", "target's hashing"
MODEL = ModelConfig(name="custom", inputs=(64,), learner="benchmarks.pair:Idle")
_NODE_LOG = "gossipfl.node.node"
_NEVER = 1_000_000_000                       # rounds


class Moment(NamedTuple):
    """When an update was announced or verified, and the CPU seconds that threads had used by then."""

    at_s: float                              # Unix time
    busy_s: dict[int, float]                 # by the kernel's number of the thread


class Diary(NamedTuple):
    """What one daemon saw, by round."""

    announced: dict[int, Moment]             # its own updates
    verified: dict[int, Moment]              # the other's
    process: int
    threads: dict[str, int]                  # its own threads by name


class Exchange(NamedTuple):
    """What a series of updates was like."""

    seconds: tuple[float, ...]               # from announced at the source to verified at the target
    updates_per_s: float                     # verified by both together
    threads_s: dict[str, float]              # CPU seconds per update of the threads that share the work, where known


def exchange(numbers: int, updates: int, *, paced: bool) -> Exchange:
    """Let two daemons exchange updates of `numbers` float32, `updates` in each direction and one more to warm up."""
    context = multiprocessing.get_context("spawn")
    agreed = federation.new("bench", model=MODEL)
    ends, pipes, children = context.Pipe(), [], []
    with folder() as where:
        for part, end in enumerate(ends):
            here, there = context.Pipe(duplex=False)
            arguments = (part, numbers, updates + 1, paced, agreed, where / str(part), end, there)
            children.append(context.Process(target=_peer, args=arguments))
            children[-1].start()
            pipes.append(here)
        source, target = (_diary(pipe) for pipe in pipes)
        for child in children:
            child.join()
    return _summary(source, target, range(1, updates + 1))


def _diary(pipe: Connection) -> Diary:
    if not pipe.poll(PATIENCE_S):
        raise RuntimeError(f"two daemons did not exchange their updates within {PATIENCE_S:g} s")
    diary: Diary = pipe.recv()
    return diary


def _summary(source: Diary, target: Diary, rounds: range) -> Exchange:
    pairs = [(source.announced[number], target.verified[number]) for number in rounds]
    span_s = target.verified[rounds[-1]].at_s - target.verified[rounds[0] - 1].at_s
    threads = {
        SOURCE_LOOP: source.process, TARGET_LOOP: target.process, TARGET_HASHING: target.threads.get("hashing_0", -1),
    }  # fmt: skip
    return Exchange(
        tuple(after.at_s - before.at_s for before, after in pairs), 2 * len(rounds) / span_s,
        {name: _busy_s(pairs, thread) for name, thread in threads.items() if thread in pairs[0][0].busy_s},
    )  # fmt: skip


def _busy_s(pairs: list[tuple[Moment, Moment]], thread: int) -> float:
    return median(after.busy_s[thread] - before.busy_s[thread] for before, after in pairs)


# ---- in the daemons' processes --------------------------------------------------------------------------------------


def _peer(
    part: int, numbers: int, rounds: int, paced: bool, agreed: Federation, state: Path, other: Connection,
    result: Connection,
) -> None:  # fmt: skip
    """Run the source (part 0) or the target (part 1)."""
    other.send(os.getpid())
    watch = Watch((os.getpid(), other.recv()) if paced else ())
    logging.getLogger(_NODE_LOG).addHandler(watch)
    options = NodeConfig(
        listen=f"{LOOPBACK}:0", data=DataConfig(source="digits"), discovery=on_loopback(),
        round=RoundConfig(
            mode="synchronous", rounds=rounds, interval_s=0.0, deadline_s=PATIENCE_S, evaluate_every=_NEVER,
            checkpoint_every=_NEVER,
        ),
    )  # fmt: skip

    def source_may_go_on(_: int) -> None:
        other.recv()

    def target_may_go_on(number: int) -> None:
        other.send(number)
        watch.wait_verified(number)

    pause = (source_may_go_on, target_may_go_on)[part] if paced else _go_on
    with state.with_suffix(".log").open("w") as sys.stderr:
        run_node(agreed, options, state, make_learner=lambda _: Idle(numbers, pause))
    result.send(watch.diary())


def _go_on(_: int) -> None:
    """No pause."""


class Idle:
    """A learner that has nothing to learn: its vector takes one step per round, when `pause` comes back."""

    def __init__(self, numbers: int, pause: Callable[[int], None]) -> None:
        self.size = numbers
        self._vector = np.zeros(numbers, np.float32)
        self._step = np.random.default_rng(1).standard_normal(numbers, np.float32)
        self._pause = pause

    def vector(self) -> npt.NDArray[np.float32]:
        return self._vector.copy()

    def load(self, vector: npt.NDArray[np.float32]) -> None:
        self._vector[:] = vector

    def train(self, round: int) -> TrainReport:
        self._vector += self._step
        self._pause(round)
        return TrainReport(0.0, 1, 1)

    def evaluate(self) -> Metrics:
        return Metrics(0.0, 0.0, 1)


class Watch(logging.Handler):
    """Notes when the daemon of this process announces an update and when it has verified one."""

    def __init__(self, processes: tuple[int, ...]) -> None:
        """processes: of whose threads to note the CPU time."""
        super().__init__()
        self._processes = processes
        self._announced: dict[int, Moment] = {}
        self._verified: dict[int, Moment] = {}
        self._threads: dict[str, int] = {}
        self._news = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        mark, text = record.getMessage()[:1], record.getMessage()
        if mark == ">" and "update of" in text:
            busy_s = self._busy_s()                      # first: the bytes leave only after this line is written
            self._announced[int(text.split()[2].rstrip(":"))] = Moment(time.time(), busy_s)
        elif mark == "<" and "delta of round" in text:
            self._note_verified(int(text.split()[5].rstrip(",")), Moment(time.time(), self._busy_s()))

    def wait_verified(self, number: int) -> None:
        """Come back when the update of round `number` is here."""
        with self._news:
            self._news.wait_for(lambda: number in self._verified, PATIENCE_S)

    def diary(self) -> Diary:
        return Diary(self._announced, self._verified, os.getpid(), self._threads)

    def _note_verified(self, number: int, moment: Moment) -> None:
        with self._news:
            self._verified[number] = moment
            self._news.notify_all()
        self._threads = {thread.name: thread.native_id or -1 for thread in threading.enumerate()}

    def _busy_s(self) -> dict[int, float]:
        return {thread: busy_s for process in self._processes for thread, busy_s in _threads_busy_s(process)}


def _threads_busy_s(process: int) -> list[tuple[int, float]]:
    """CPU seconds of each thread of a process; nothing where the system does not say."""
    tasks = Path(f"/proc/{process}/task")
    try:
        return [(int(task.name), int((task / "schedstat").read_text().split()[0]) / 1e9) for task in tasks.iterdir()]
    except OSError:
        return []
