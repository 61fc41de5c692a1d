"""How fast updates go from one daemon to another: a large one, and small ones one by one and as fast as rounds go.

Beside the clock stands the CPU time of the three threads that share the work - two event loops and the one that
hashes - which says what limits.  The two daemons are in pair.py, what the machine could do at best in ceilings.py.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from benchmarks import ceilings, pair
from benchmarks.ceilings import Ceilings
from benchmarks.figures import Figure, Result, progress, watched
from benchmarks.pair import Exchange

GB = 1e9
LARGE_AIM = 0.6                              # GB/s


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is sent, how often."""

    large_numbers: int = 10_000_000          # float32: 40 MB
    large_updates: int = 15
    small_numbers: int = 2_500               # 10 kB
    small_updates: int = 300                 # two control messages each way: within a link's burst
    small_series: int = 3
    ceiling_bytes: int = 16_000_000

    @property
    def large_bytes(self) -> int:
        return 4 * self.large_numbers

    @property
    def small_bytes(self) -> int:
        return 4 * self.small_numbers


QUICK = Sizes(large_numbers=300_000, large_updates=2, small_updates=5, small_series=1, ceiling_bytes=1_000_000)


def run(sizes: Sizes) -> Result:
    """Measure the ceilings, then the large update, then the small ones."""
    result = Result(benchmark="link")
    with watched(result):
        progress("link: ceilings of the single steps")
        machine = ceilings.measure(sizes.ceiling_bytes)
        progress(f"link: {sizes.large_updates} updates of {sizes.large_bytes / 1e6:g} MB")
        large = pair.exchange(sizes.large_numbers, sizes.large_updates, paced=True)
        progress(f"link: {sizes.small_updates} updates of {sizes.small_bytes / 1e3:g} kB, one by one and in a row")
        alone = pair.exchange(sizes.small_numbers, sizes.small_updates, paced=True)
        rows = [
            pair.exchange(sizes.small_numbers, sizes.small_updates, paced=False) for _ in range(sizes.small_series)
        ]
        round_trip_s = ceilings.round_trip_s(sizes.small_bytes)
    result.figures += [*_large(sizes, large, machine), *_small(sizes, alone, rows, round_trip_s)]
    result.notes += [*_limit(large), _steps(machine)]
    return result


def _large(sizes: Sizes, large: Exchange, machine: Ceilings) -> list[Figure]:
    size = sizes.large_bytes
    threads = [
        Figure(name=f"  CPU, {thread}", unit="ms", runs=(1e3 * busy_s,), floor=1e3 * machine.thread_s(size)[thread])
        for thread, busy_s in large.threads_s.items()
    ]
    return [
        Figure(
            name=f"{size / 1e6:g} MB update", unit="GB/s", runs=tuple(size / seconds / GB for seconds in large.seconds),
            floor=size / machine.floor_s(size) / GB, aim=LARGE_AIM, more_is_better=True,
            floor_of=f"the bare steps of those three threads on {os.cpu_count()} cores",
        ),
        *threads,
    ]  # fmt: skip


def _small(sizes: Sizes, alone: Exchange, rows: list[Exchange], round_trip_s: float) -> list[Figure]:
    name = f"{sizes.small_bytes / 1e3:g} kB update"
    return [
        Figure(
            name=f"{name}, latency", unit="ms", runs=tuple(1e3 * seconds for seconds in alone.seconds),
            floor=1e3 * round_trip_s, floor_of="question and answer of these sizes over loopback, blocking sockets",
        ),
        Figure(
            name=f"{name}, two daemons", unit="updates/s", runs=tuple(row.updates_per_s for row in rows),
            more_is_better=True,
        ),
    ]  # fmt: skip


def _limit(large: Exchange) -> list[str]:
    """Which thread the large update waits for, if the system told their times."""
    if not large.threads_s:
        return []
    cores = os.cpu_count() or 1
    busiest = max(large.threads_s, key=lambda name: large.threads_s[name])
    if sum(large.threads_s.values()) / cores > large.threads_s[busiest]:
        return [f"limit of the large update: the {cores} cores, all three threads need them"]
    return [f"limit of the large update: {busiest}"]


def _steps(machine: Ceilings) -> str:
    rates = {
        "SHA-256": machine.hash, f"{machine.cipher} seal": machine.seal, "open": machine.open,
        "copy": machine.copy, "loopback send": machine.send, "receive": machine.receive,
    }  # fmt: skip
    return "steps, GB/s of one core: " + ", ".join(f"{name} {rate / GB:.2f}" for name, rate in rates.items())
