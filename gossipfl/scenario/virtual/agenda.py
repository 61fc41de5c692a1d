"""Virtual time: what is to happen when, in an order that one seed repeats.

Everything simulated is an action on one agenda.  Time stands still while an action runs, and jumps to the next one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

START_S = 1_700_000_000.0                       # virtual Unix time at which every run begins


class Agenda:
    """A queue of actions by their time; those of one time keep the order in which they were made."""

    def __init__(self) -> None:
        self.now = START_S
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0

    def at(self, when: float, action: Callable[..., object], *arguments: Any) -> None:
        """Call `action` at `when`, or now if that is over."""
        self._count += 1
        heapq.heappush(self._heap, (when if when > self.now else self.now, self._count, action, arguments))

    def after(self, seconds: float, action: Callable[..., object], *arguments: Any) -> None:
        self.at(self.now + seconds, action, *arguments)

    @property
    def next_at(self) -> float:
        """When the next action is due; math.inf if there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def step(self) -> None:
        """Go to the next action and do it."""
        self.now, _, action, arguments = heapq.heappop(self._heap)
        action(*arguments)

    def run(self, seconds: float) -> None:
        """All that happens within `seconds` from now."""
        self.until(lambda: False, seconds)

    def until(self, reached: Callable[[], bool], seconds: float, step_s: float = 0.05) -> bool:
        """Run until `reached()`, asked every `step_s`, or for `seconds`.  Returns whether it was reached."""
        heap, end, ask_at = self._heap, self.now + seconds, self.now
        while heap and heap[0][0] <= end:
            self.now, _, action, arguments = heapq.heappop(heap)
            action(*arguments)
            if self.now >= ask_at:
                ask_at = self.now + step_s
                if reached():
                    return True
        self.now = end
        return reached()
