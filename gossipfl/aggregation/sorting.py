"""Which minima and maxima give the wanted ranks of n numbers: a sorting network, pruned.

Sorting networks need no branches, so every step works on whole rows at once, on any array library.  This file decides
the steps; coordinate.py runs them.  Batcher's merge exchange (Knuth, TAOCP 3, 5.2.2, algorithm M) sorts n rows for any
n; walking it backwards, a comparator that no wanted rank depends on goes, and of one that is needed for its smaller or
larger output only, half is kept.  The median of 9 keeps 36 of 52 minima and maxima, of 21 it keeps 156 of 214.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class Step(NamedTuple):
    """slot[out] = the larger (or smaller) of slot[a] and slot[b], element by element."""

    larger: bool
    a: int
    b: int
    out: int


class Network(NamedTuple):
    """Steps over slots: the first `rows` hold the input and are only read, `scratch` more are written."""

    rows: int
    scratch: int
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]                             # slots that hold the wanted ranks afterwards


Pick = Callable[[T, T, T], T]                            # (a, b, space for the result) -> result


@lru_cache(maxsize=256)
def network(n: int, low: int, high: int, *, in_order: bool = True) -> Network:
    """The steps that give ranks low to high (0 is the smallest, both included) of n rows.

    With in_order false the outputs hold the same numbers in any order, which is enough for a sum and saves a seventh.
    """
    assert 0 <= low <= high < n
    classes = [_class_of(rank, low, high, in_order) for rank in range(n)]
    halves = _prune(list(_merge_exchange(n)), classes)
    steps, last = _write(halves, n)
    return _reuse_slots(n, steps, [last[rank] for rank in range(low, high + 1)])


def run(net: Network, rows: Sequence[T], scratch: Sequence[T], smaller: Pick[T], larger: Pick[T]) -> list[T]:
    """The wanted ranks of `rows`.  `scratch` holds net.scratch spaces that the picks may write into or ignore."""
    slots = [*rows, *scratch]
    for step in net.steps:
        pick = larger if step.larger else smaller
        slots[step.out] = pick(slots[step.a], slots[step.b], slots[step.out])
    return [slots[output] for output in net.outputs]


def _class_of(rank: int, low: int, high: int, in_order: bool) -> int:
    """Wires of one class may trade places at the end: -1 is not wanted."""
    if not low <= rank <= high:
        return -1
    return rank if in_order else low


def _merge_exchange(n: int) -> Iterator[tuple[int, int]]:
    """Comparators (i, j), i < j, that sort n wires: the smaller number goes to i."""
    top = 1 << max(n - 1, 0).bit_length() >> 1
    p = top
    while p > 0:
        q, r, distance = top, 0, p
        while distance > 0:
            yield from ((i, i + distance) for i in range(n - distance) if i & p == r)
            distance, q, r = q - p, q >> 1, p
        p >>= 1


class _Half(NamedTuple):
    """A comparator and which of its two outputs somebody needs."""

    i: int
    j: int
    smaller: bool
    larger: bool


def _prune(comparators: list[tuple[int, int]], classes: list[int]) -> list[_Half]:
    """What is left of `comparators` when only the classes of the final wires matter."""
    needed_as = list(classes)                            # per wire, walking backwards; -2: a later comparator reads it
    kept = []
    for i, j in reversed(comparators):
        if needed_as[i] == needed_as[j] != -2:           # both unwanted, or both in a sum: their order is nobody's
            continue
        kept.append(_Half(i, j, needed_as[i] != -1, needed_as[j] != -1))
        needed_as[i] = needed_as[j] = -2
    return kept[::-1]


def _write(halves: list[_Half], n: int) -> tuple[list[Step], list[int]]:
    """Every result into a slot of its own, and the slot that each wire ends in."""
    wire, steps = list(range(n)), list[Step]()
    for half in halves:
        a, b = wire[half.i], wire[half.j]
        if half.smaller:
            wire[half.i] = n + len(steps)
            steps.append(Step(False, a, b, wire[half.i]))
        if half.larger:
            wire[half.j] = n + len(steps)
            steps.append(Step(True, a, b, wire[half.j]))
    return steps, wire


def _reuse_slots(n: int, steps: list[Step], outputs: list[int]) -> Network:
    """The same steps in as few slots as their lifetimes allow, so that the scratch stays in cache."""
    last_read = {slot: index for index, step in enumerate(steps) for slot in (step.a, step.b)}
    last_read |= dict.fromkeys(outputs, len(steps))
    place, free, scratch, packed = {slot: slot for slot in range(n)}, list[int](), 0, []
    for index, step in enumerate(steps):
        a, b = place[step.a], place[step.b]
        free += {place[slot] for slot in (step.a, step.b) if slot >= n and last_read[slot] == index}
        if not free:
            free.append(n + scratch)
            scratch += 1
        place[step.out] = free.pop()
        packed.append(Step(step.larger, a, b, place[step.out]))
    return Network(n, scratch, tuple(packed), tuple(place[slot] for slot in outputs))
