"""The log: ``time mark text`` lines, where the mark shows the direction.

    >  sent        <  received        =  state        !  refused        x  closed

A message brings its mark as its first character: ``log.info("< %s update round=%d", peer.short, round)``; peers appear
by their first eight hex digits.  Decides the format and what a stranger's text may do to a terminal (nothing).  The
audit trail that survives a restart is node/store.py.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from typing import TextIO

MARKS = "><=!x"
RECENT_MAX = 50
_ROOT = "gossipfl"
_CHATTY = "zeroconf"                             # warns, with a traceback, of every interface that goes away
# Peers choose names and reasons that end up here: no newline may forge a line, no escape sequence move the cursor.
_HARMLESS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def setup(*, verbose: bool = False, stream: TextIO | None = None, on_screen: bool = False) -> Recent:
    """Send the log to `stream` (standard error if None); returns the handler that remembers the last lines.

    verbose: also single messages, not only what changes.  on_screen: the live view shows the lines, and the stream gets
    none.  Calling it again replaces the first setup.
    """
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    recent = Recent()
    logger = logging.getLogger(_ROOT)
    for old in list(logger.handlers):
        logger.removeHandler(old)
    for new in (recent,) if on_screen else (handler, recent):
        new.setFormatter(Lines())
        logger.addHandler(new)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.propagate = False
    logging.getLogger(_CHATTY).setLevel(logging.WARNING if verbose else logging.ERROR)
    return recent


def split(message: str, level: int = logging.INFO) -> tuple[str, str]:
    """A message as (mark, text).  One without a mark is a state, or a refusal if it is a warning or worse."""
    if message[:1] in MARKS and message[1:2] == " ":
        return message[0], message[2:]
    return ("!" if level >= logging.WARNING else "="), message


class Lines(logging.Formatter):
    """``2026-01-31 12:00:00.123 < 8a88e3dd update round=7``, local time, one line per message."""

    def format(self, record: logging.LogRecord) -> str:
        mark, text = split(record.getMessage(), record.levelno)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        line = f"{stamp}.{int(record.msecs):03d} {mark} {text.translate(_HARMLESS)}"
        # A traceback is ours and stays readable.
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Recent(logging.Handler):
    """Remembers the last RECENT_MAX lines, for the live view and the status page."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[str] = deque(maxlen=RECENT_MAX)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))

    @property
    def lines(self) -> list[str]:
        """Oldest first."""
        return list(self._lines)
