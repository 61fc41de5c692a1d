"""Telling on standard error how far something is that takes long: nothing for two seconds, then a line now and then.

On a terminal the line is written over itself and is gone in the end.  A thread of its own tells it, because what is
waited for may be in one long computation.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

AFTER_S = 2.0                                            # whoever waits no longer wants to read nothing
EVERY_S = 3.0                                            # as a scenario tells it (scenario/progress.py)
_REDRAWN_S = 0.5                                         # on a terminal
_CLEAR = "\r\x1b[K"


@contextmanager
def on_stderr() -> Iterator[Callable[[str], None]]:
    """What it gives is called with a stage as often as one likes."""
    done, stage, begun = threading.Event(), ["starting"], time.monotonic()

    def line() -> str:
        return f"{time.monotonic() - begun:5.1f} s  {stage[0]}"

    def told(what: str) -> None:
        stage[0] = what

    teller = threading.Thread(target=tell, args=(line, done.wait, sys.stderr), name="waiting", daemon=True)
    teller.start()
    try:
        yield told
    finally:
        done.set()
        teller.join()


def tell(line: Callable[[], str], is_done_in: Callable[[float], bool], out: TextIO) -> None:
    """Write `line` again and again until `is_done_in` so many seconds says yes."""
    is_screen, is_done = out.isatty(), is_done_in(AFTER_S)
    has_told = not is_done
    while not is_done:
        print(f"{_CLEAR}{line()}" if is_screen else line(), end="" if is_screen else "\n", file=out, flush=True)
        is_done = is_done_in(_REDRAWN_S if is_screen else EVERY_S)
    if has_told and is_screen:
        print(_CLEAR, end="", file=out, flush=True)
