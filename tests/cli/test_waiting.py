"""Whoever waits longer than two seconds is told for what; whoever does not reads nothing."""

import io
import threading

import pytest

from gossipfl.cli import waiting


class Screen(io.StringIO):
    def isatty(self):
        return True


def told(out, done_after_s):
    """What is written while something takes so long, of which each line says when."""
    now = 0.0

    def is_done_in(seconds):
        nonlocal now
        now += seconds
        return now >= done_after_s

    waiting.tell(lambda: f"at {now:g}", is_done_in, out)
    return out.getvalue()


@pytest.mark.parametrize("out", [io.StringIO(), Screen()])
def test_what_takes_two_seconds_is_not_told(out):
    assert told(out, 2.0) == ""


def test_a_log_reads_a_line_every_three_seconds():
    assert told(io.StringIO(), 9.0) == "at 2\nat 5\nat 8\n"


def test_a_terminal_sees_one_line_that_is_gone_in_the_end():
    shown = told(Screen(), 3.0)
    assert shown == "\r\x1b[Kat 2\r\x1b[Kat 2.5\r\x1b[K"


def test_the_newest_stage_is_told_even_while_it_computes(monkeypatch):
    heard = threading.Event()

    class Listener(io.StringIO):
        def write(self, text):
            if "counting sheep" in text:
                heard.set()
            return len(text)

    monkeypatch.setattr(waiting, "AFTER_S", 0.0)
    monkeypatch.setattr(waiting, "EVERY_S", 0.001)
    monkeypatch.setattr("sys.stderr", Listener())
    with waiting.on_stderr() as tell:
        tell("counting sheep")
        assert heard.wait(30.0)
