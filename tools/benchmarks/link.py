"""How fast updates go from one process to another over a real link: a large one, and many small ones.

The target runs in this process, the source in one of its own.  The CPU time of the three threads that share the work
(two event loops and the one that hashes) says which of them limits.  What the ends are made of is in link_end.py.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.ceilings import Ceilings, measure, round_trip_s
from benchmarks.figures import Figure, Result, progress, watched
from benchmarks.link_end import TARGET, Source, Target
from gossipfl.wire.chunks import cut

GB = 1e9
LARGE_AIM = 0.6                              # GB/s
_PAYLOADS = 3                                # different ones, published in turn
_GIL_SWITCH_S = 0.001                        # as a daemon sets it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is sent, how often."""

    large_numbers: int = 10_000_000          # float32: 40 MB
    large_updates: int = 20
    small_numbers: int = 2_500               # 10 kB
    small_updates: int = 600                 # fewer than a link's burst of control messages

    @property
    def large_bytes(self) -> int:
        return 4 * self.large_numbers

    @property
    def small_bytes(self) -> int:
        return 4 * self.small_numbers


QUICK = Sizes(large_numbers=300_000, large_updates=3, small_updates=20)


class Transfer(NamedTuple):
    """What one series of updates was like."""

    seconds: tuple[float, ...]               # from ANNOUNCE to verified, per update
    total_s: float                           # from the first ANNOUNCE to the last one verified
    threads_s: dict[str, float]              # CPU seconds per update of each thread


def run(sizes: Sizes) -> Result:
    """Measure the ceilings, then the large update, then the small ones."""
    result = Result(benchmark="link")
    with watched(result):
        progress("link: ceilings of the single steps")
        ceilings = measure()
        progress(f"link: {sizes.large_updates} updates of {sizes.large_bytes / 1e6:g} MB")
        large = transfer(sizes.large_numbers, sizes.large_updates, in_flight=1)
        progress(f"link: {sizes.small_updates} updates of {sizes.small_bytes / 1e3:g} kB, one by one and in a row")
        alone = transfer(sizes.small_numbers, sizes.small_updates, in_flight=1)
        rows = [transfer(sizes.small_numbers, sizes.small_updates, in_flight=3) for _ in range(3)]
        floor_s = round_trip_s(sizes.small_bytes)
    result.figures += [*_large(sizes, large, ceilings), *_small(sizes, alone, rows, floor_s)]
    result.notes += [_limit(large), _steps(ceilings)]
    return result


def transfer(numbers: int, updates: int, in_flight: int) -> Transfer:
    """Fetch `updates` updates of `numbers` float32 from another process; `in_flight` are announced beforehand."""
    sys.setswitchinterval(_GIL_SWITCH_S)
    return asyncio.run(_fetch(numbers, updates, in_flight))


async def _fetch(numbers: int, updates: int, in_flight: int) -> Transfer:
    context = multiprocessing.get_context("spawn")
    target = Target(numbers)
    (address,) = await target.transport.listen("127.0.0.1:0")
    here, there = context.Pipe()
    child = context.Process(target=_publish, args=(address, numbers, updates, in_flight, there))
    child.start()
    await target.link()
    began, hashing_began = time.thread_time(), await target.hashing_s()
    source_s: float = await asyncio.to_thread(here.recv)
    hashing_s, loop_s = await target.hashing_s() - hashing_began, time.thread_time() - began
    await target.aclose()
    child.join()
    threads_s = {"source's loop": source_s, "target's loop": loop_s, "target's hashing": hashing_s}
    return Transfer(
        tuple(target.seconds), target.total_s, {name: busy_s / updates for name, busy_s in threads_s.items()}
    )


def _publish(address: str, numbers: int, updates: int, in_flight: int, pipe: Connection) -> None:
    """The other process."""
    sys.setswitchinterval(_GIL_SWITCH_S)
    asyncio.run(_publish_all(address, numbers, updates, in_flight, pipe))


async def _publish_all(address: str, numbers: int, updates: int, in_flight: int, pipe: Connection) -> None:
    payloads = [cut(secrets.token_bytes(4 * numbers)) for _ in range(_PAYLOADS)]
    source = Source(numbers)
    source.transport.dial(address, TARGET.peer_id)
    await source.link()
    began = time.thread_time()
    for number in range(updates):
        if number >= in_flight:
            await source.arrived.get()
        await source.publish(payloads[number % _PAYLOADS], number)
    while await source.arrived.get() < updates:
        continue
    pipe.send(time.thread_time() - began)
    await source.aclose()


# ---- what it amounts to ---------------------------------------------------------------------------------------------


def _large(sizes: Sizes, large: Transfer, ceilings: Ceilings) -> list[Figure]:
    size = sizes.large_bytes
    floor_s = ceilings.floor_s(size)
    name = f"{size / 1e6:g} MB update"
    threads = [
        Figure(name=f"  CPU, {thread}", unit="ms", runs=(1e3 * busy_s,), floor=1e3 * ceilings.thread_s(size)[thread])
        for thread, busy_s in large.threads_s.items()
    ]
    return [
        Figure(
            name=name, unit="GB/s", runs=tuple(size / seconds / GB for seconds in large.seconds),
            floor=size / floor_s / GB, aim=LARGE_AIM, more_is_better=True,
            floor_of=f"the bare steps of three threads on {os.cpu_count()} cores",
        ),
        *threads,
    ]  # fmt: skip


def _small(sizes: Sizes, alone: Transfer, rows: list[Transfer], floor_s: float) -> list[Figure]:
    name = f"{sizes.small_bytes / 1e3:g} kB update"
    floor_of = "question and answer of these sizes over loopback, blocking sockets"
    rates = tuple(sizes.small_updates / row.total_s for row in rows)
    latencies = tuple(1e3 * seconds for seconds in alone.seconds)
    return [
        Figure(name=f"{name}, latency", unit="ms", runs=latencies, floor=1e3 * floor_s, floor_of=floor_of),
        Figure(name=f"{name}, in a row", unit="updates/s", runs=rates, floor=1 / floor_s, more_is_better=True),
    ]


def _limit(large: Transfer) -> str:
    """Which thread the large update waits for."""
    cores = os.cpu_count() or 1
    busiest = max(large.threads_s, key=lambda name: large.threads_s[name])
    together_s = sum(large.threads_s.values())
    shares = ", ".join(f"{name} {1e3 * busy_s:.0f} ms" for name, busy_s in large.threads_s.items())
    if together_s / cores > large.threads_s[busiest]:
        return f"limit: the {cores} cores, shared by {shares}"
    return f"limit: {busiest}, of {shares}"


def _steps(ceilings: Ceilings) -> str:
    rates = {
        "SHA-256": ceilings.hash, f"{ceilings.cipher} seal": ceilings.seal, "open": ceilings.open,
        "copy": ceilings.copy, "loopback send": ceilings.send, "receive": ceilings.receive,
    }  # fmt: skip
    return "steps, GB/s of one core: " + ", ".join(f"{name} {rate / GB:.2f}" for name, rate in rates.items())
