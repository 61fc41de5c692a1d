"""Nodes that must not outlive whoever started them, kill -9 included.

The starter holds the writing end of a pipe whose other end is the node's standard input, and writes nothing.  When the
last holder is gone, the input ends, and the node leaves as if asked to.  Standard input says nothing of the kind by
itself, as under systemd or nohup, so the starter asks for it by an environment variable.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

ASKED_BY = "GOSSIPFL_LIFELINE"                           # an environment variable, set to
STDIN = "stdin"
_READ = 4096


def hold(let_go: Callable[[], None]) -> None:
    """Inside a running loop: call `let_go` once when standard input, a pipe, ends; nothing if nobody asked for it."""
    if os.environ.get(ASKED_BY) != STDIN:
        return
    loop, lifeline = asyncio.get_running_loop(), sys.stdin.fileno()

    def look() -> None:
        if not os.read(lifeline, _READ):
            loop.remove_reader(lifeline)
            let_go()

    loop.add_reader(lifeline, look)
