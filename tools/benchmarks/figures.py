"""A measured figure: all its runs, the floor that the machine sets, what is aimed at; as a table and as JSON.

Decides how figures are summed up (median, with minimum and maximum beside it) and how honest the machine was: what
others used of its cores meanwhile is written down with every benchmark.  What is measured is the other files' matter.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

SCHEMA = 1
_BUSY_CORES = 0.3                # used by others: from here on a figure says more about them
_PACKAGES = ("jax", "numpy", "pynacl", "zeroconf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One quantity in `unit`."""

    name: str
    unit: str
    runs: tuple[float, ...]
    floor: float | None = None               # what this machine allows at best, in the same unit
    floor_of: str = ""                       # the steps that the floor is made of
    aim: float | None = None
    more_is_better: bool = False

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def gap(self) -> float | None:
        """How many times worse than the floor; 1 would be perfect."""
        if not self.floor or not self.median:
            return None
        return self.floor / self.median if self.more_is_better else self.median / self.floor

    @property
    def is_met(self) -> bool | None:
        """Whether the median reaches the aim, None without one."""
        if self.aim is None:
            return None
        return self.median >= self.aim if self.more_is_better else self.median <= self.aim

    def tables(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name, "unit": self.unit, "median": self.median, "min": min(self.runs), "max": max(self.runs),
            "runs": list(self.runs), "floor": self.floor, "floor_of": self.floor_of, "gap": self.gap,
            "aim": self.aim, "met": self.is_met, "more_is_better": self.more_is_better,
        }  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Result:
    """What one benchmark found."""

    benchmark: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    others_cores: float | None = None        # used by other programs meanwhile, on average

    def tables(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "benchmark": self.benchmark, "figures": [figure.tables() for figure in self.figures],
            "notes": self.notes, "others_cores": self.others_cores,
        }  # fmt: skip


def report(results: Sequence[Result]) -> dict[str, Any]:
    """Everything, for JSON."""
    return {"schema": SCHEMA, "machine": machine(), "results": [result.tables() for result in results]}


def machine() -> dict[str, Any]:
    """On what the figures were taken."""
    return {
        "cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES}, "time_s": time.time(),
    }  # fmt: skip


def text(result: Result) -> str:
    """The table of one benchmark for a person."""
    rows: list[tuple[str, ...]] = [("", "median", "min", "max", "floor", "gap", "aim", "")]
    rows += [_row(figure) for figure in result.figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"{result.benchmark}{_disturbance(result)}"]
    lines += ["  " + "  ".join(_fit(cell, width, at) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
              for row in rows]  # fmt: skip
    floors = {figure.floor_of: None for figure in result.figures if figure.floor_of}
    return "\n".join([*(line.rstrip() for line in lines), *(f"  floor: {words}" for words in floors),
                      *(f"  {note}" for note in result.notes)])  # fmt: skip


def progress(text: str) -> None:
    """One line on standard error about what takes a while."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def watched(result: Result) -> Iterator[None]:
    """Write into `result` how many cores other programs used meanwhile (Linux; elsewhere it stays None)."""
    began, others = time.monotonic(), _others_s()
    yield
    now = _others_s()
    if others is not None and now is not None:
        result.others_cores = max(0.0, (now - others) / (time.monotonic() - began))


def _others_s() -> float | None:
    """CPU seconds that this machine has spent on anything but this process and its ended children."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(ticks) for ticks in fields[:8])
    mine = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    busy_s = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy_s - sum(use.ru_utime + use.ru_stime for use in mine)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _disturbance(result: Result) -> str:
    if result.others_cores is None or result.others_cores < _BUSY_CORES:
        return ""
    return f"   ! disturbed: others used {result.others_cores:.1f} of {os.cpu_count()} cores meanwhile"


def _row(figure: Figure) -> tuple[str, ...]:
    gap, sign = figure.gap, ">=" if figure.more_is_better else "<="
    verdict = {True: "met", False: "MISSED", None: ""}[figure.is_met]
    return (
        figure.name, f"{_number(figure.median)} {figure.unit}", _number(min(figure.runs)), _number(max(figure.runs)),
        "" if figure.floor is None else _number(figure.floor), "" if gap is None else f"{gap:.1f}x",
        "" if figure.aim is None else f"{sign} {_number(figure.aim)}", verdict,
    )  # fmt: skip


def _number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _fit(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column in (0, 7) else cell.rjust(width)
