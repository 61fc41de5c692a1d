"""The log: one line, one mark, and no ink for strangers."""

from __future__ import annotations

import io
import logging
import re

import pytest

from gossipfl.node import log


@pytest.fixture
def written():
    stream = io.StringIO()
    recent = log.setup(stream=stream)
    yield stream, recent
    logger = logging.getLogger("gossipfl")
    logger.handlers.clear()
    logger.propagate = True
    for name in ("gossipfl", "zeroconf"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_time_mark_and_text(written):
    stream, recent = written
    logging.getLogger("gossipfl.node.daemon").info("< %s update round=%d", "8a88e3dd", 7)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} < 8a88e3dd update round=7\n", stream.getvalue())
    assert recent.lines == [stream.getvalue().rstrip("\n")]


def test_a_message_without_a_mark_gets_that_of_its_level(written):
    stream, _ = written
    logging.getLogger("gossipfl").info("ready")
    logging.getLogger("gossipfl").warning("<html> is no mark")
    assert [line.split(" ", 2)[2] for line in stream.getvalue().splitlines()] == ["= ready", "! <html> is no mark"]


def test_a_stranger_can_neither_forge_a_line_nor_move_the_cursor(written):
    stream, _ = written
    logging.getLogger("gossipfl").info("x closed: %s", "bye\n2026-01-01 00:00:00.000 = all is well\x1b[2J\x9b")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\\x0a2026" in stream.getvalue()
    assert "\\x1b[2J\\x9b" in stream.getvalue()


def test_single_messages_are_told_only_when_asked_for(written):
    stream, _ = written
    logging.getLogger("gossipfl").debug("> chunk 1")
    assert stream.getvalue() == ""
    log.setup(verbose=True, stream=stream)
    logging.getLogger("gossipfl").debug("> chunk 1")
    assert stream.getvalue().count("> chunk 1") == 1


def test_tracebacks_about_a_lost_interface_are_kept_from_the_terminal(written, capsys):
    logging.getLogger("zeroconf").warning("Error with socket 14")
    assert capsys.readouterr().err == ""


def test_only_the_newest_lines_are_remembered(written):
    _, recent = written
    for number in range(log.RECENT_MAX + 5):
        logging.getLogger("gossipfl").info("= %d", number)
    assert len(recent.lines) == log.RECENT_MAX
    assert recent.lines[-1].endswith(f"= {number}")


def test_a_traceback_of_ours_stays_readable(written):
    stream, _ = written
    try:
        raise RuntimeError("ours")
    except RuntimeError:
        logging.getLogger("gossipfl").exception("! bug")
    assert "RuntimeError: ours\n" in stream.getvalue()


@pytest.mark.parametrize(("message", "parts"), [("> a", (">", "a")), ("", ("=", "")), ("x", ("=", "x"))])
def test_a_message_splits_into_mark_and_text(message, parts):
    assert log.split(message) == parts
