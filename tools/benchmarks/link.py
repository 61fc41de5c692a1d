"""How fast updates go from one process to another over a real link: a large one, and many small ones.

The target runs in this process, the source in one of its own.  The CPU time of the three threads that share the work
(two event loops and the one that hashes) says which of them limits.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import secrets
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from gossipfl.node.daemon import GIL_SWITCH_S
from gossipfl.wire.chunks import cut

from benchmarks.ceilings import Ceilings, measure, round_trip_s
from benchmarks.figures import Figure, Result, progress, watched
from benchmarks.link_end import SOURCE, TARGET, Source, Target

GB = 1e9
LARGE_AIM = 0.6                              # GB/s
_PAYLOADS = 3                                # different ones, published in turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is sent, how often."""

    large_numbers: int = 10_000_000          # float32: 40 MB
    large_updates: int = 20
    small_numbers: int = 2_500               # 10 kB
    small_updates: int = 600                 # fewer than a link's burst of control messages


QUICK = Sizes(large_numbers=300_000, large_updates=3, small_updates=20)


class Transfer(NamedTuple):
    """What one series of updates was like."""

    seconds: list[float]                     # from ANNOUNCE to verified, per update
    total_s: float                           # from the first ANNOUNCE to the last one verified
    source_loop_s: float                     # CPU seconds per update
    target_loop_s: float
    hashing_s: float


def run(sizes: Sizes) -> Result:
    """Measure ceilings, then the large update, then the small ones."""
    result = Result(benchmark="link")
    with watched(result):
        progress("link: ceilings of the single steps")
        ceilings = measure()
        progress(f"link: {sizes.large_updates} updates of {4 * sizes.large_numbers / 1e6:g} MB")
        large = transfer(sizes.large_numbers, sizes.large_updates, in_flight=1)
        progress(f"link: {sizes.small_updates} updates of {4 * sizes.small_numbers / 1e3:g} kB, one by one and in a row")
        one = transfer(sizes.small_numbers, sizes.small_updates, in_flight=1)
        row = transfer(sizes.small_numbers, sizes.small_updates, in_flight=3)
        floor_s = round_trip_s(4 * sizes.small_numbers)
    result.figures += [*_large(4 * sizes.large_numbers, large, ceilings), *_small(one, row, floor_s)]
    result.notes += [_limit(large, ceilings), _steps(ceilings)]
    return result


def transfer(numbers: int, updates: int, in_flight: int) -> Transfer:
    """Publish `updates` updates of `numbers` float32 from another process, so many at a time before the first arrives."""
    sys.setswitchinterval(GIL_SWITCH_S)
    return asyncio.run(_fetch(numbers, updates, in_flight))


async def _fetch(numbers: int, updates: int, in_flight: int) -> Transfer:
    context = multiprocessing.get_context("spawn")
    target = Target(numbers)
    (address,) = await target.transport.listen("127.0.0.1:0")
    here, there = context.Pipe()
    child = context.Process(target=_publish, args=(address, numbers, updates, in_flight, there))
    child.start()
    await target.link()
    loop_s, hashing_s = time.thread_time(), await target.hashing_s()
    source_s: float = await asyncio.to_thread(here.recv)
    hashing_s = await target.hashing_s() - hashing_s
    loop_s = time.thread_time() - loop_s
    await target.aclose()
    child.join()
    total_s = target.verified_at[-1] - target.began_at
    return Transfer(target.seconds, total_s, source_s / updates, loop_s / updates, hashing_s / updates)


def _publish(address: str, numbers: int, updates: int, in_flight: int, pipe: Connection) -> None:
    """The other process."""
    sys.setswitchinterval(GIL_SWITCH_S)
    asyncio.run(_publish_all(address, numbers, updates, in_flight, pipe))


async def _publish_all(address: str, numbers: int, updates: int, in_flight: int, pipe: Connection) -> None:
    payloads = [cut(secrets.token_bytes(4 * numbers)) for _ in range(_PAYLOADS)]
    source = Source(numbers)
    source.transport.dial(address, TARGET.peer_id)
    await source.link()
    busy = time.thread_time()
    for number in range(updates):
        if number >= in_flight:
            await source.arrived.get()
        await source.publish(payloads[number % _PAYLOADS], number)
    while await source.arrived.get() < updates:
        continue
    pipe.send(time.thread_time() - busy)
    await source.aclose()
