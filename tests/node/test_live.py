"""The live view: everything on one screen, and nothing that a peer could paint on it."""

from __future__ import annotations

import asyncio
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gossipfl.node import live
from gossipfl.node.live import NEIGHBORS_SHOWN_MAX, amount, render, sparkline


def a_peer(short: str, **changes):
    return {"id": f"12D3{short}", "short": short, "linked": True, "neighbor": True, "dialed_by_me": False, "round": 11,
            "staleness_rounds": 1, "interval_s": 0.5, "addresses": [], "bytes_sent": 1500, "bytes_received": 2_500_000,
            "strikes": 0, "banned": False, **changes}


def a_view(**changes):
    status = {
        "peer_id": "12D3KooW", "short": "8a88e3dd", "federation": "pens", "model": "mlp 64-64-10", "rule": "mean",
        "codec": "float32", "round": 12, "rounds": 40, "phase": "collecting", "accuracy": 0.914, "loss": 0.3,
        "boot": 1, "uptime_s": 30.0, "neighbors": 2, "links": 3, "known_peers": 9, "bytes_sent": 12_000,
        "bytes_received": 9, "updates": {"expected": 20, "heard": 18, "late": 1, "refused": 1},
        "loop_lag_ms": {"p50": 0.1, "p99": 3.25, "max": 9.0}, "rss_mb": 201.5, "history": [0.1, 0.5, 0.914],
    }
    return {"status": {**status, **changes.pop("status", {})}, "peers": [a_peer("00000001")],
            "topology": {"nodes": [], "edges": [], "claimed": []}, "events": ["12:00 = ready"], **changes}


def drawn(view, width: int = 100, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(render(view))
    return console.file.getvalue()


def test_the_screen_tells_who_how_far_how_well_and_with_whom():
    screen = drawn(a_view())
    for text in ("8a88e3dd in pens", "12 of 40", "collecting", "91.4 %", "▁▄█", "18 heard", "1 refused", "9 in the",
                 "12.0 kB sent", "00000001", "2.5 MB", "12:00 = ready", "3.2 ms"):
        assert text in screen, text


def test_verdicts_trust_and_the_worth_of_neighbors_are_on_the_screen():
    clipped = {"standing": "clipped", "kept": 0.31, "distance": 2.0, "cause": "", "reason": ""}
    said = {"verdicts": {"kept": 5, "clipped": 2, "refused": 1}, "alone": {"gain": 0.125},
            "ruling": {"standing": "damage-limited", "why": "damage-limited: a ring carries no liar"}}
    screen = drawn(a_view(status=said, peers=[a_peer("0000000a", verdict=clipped, trust=0.875)]), width=140)
    for text in ("5 kept, 2 clipped, 1 refused; gain over my twin alone +12.5 %", "clipped to 0.31", "0.88",
                 "damage-limited: a ring carries no liar"):
        assert text in screen, text
    assert "ISOLATED" in drawn(a_view(status=said | {"isolated": True}), width=140)


def test_a_node_that_mixes_nothing_does_not_look_healthy():
    few = {"unmixed": {"rounds": 59, "because": "krum needs 5 models and has 3"}}
    screen = drawn(a_view(status=few), width=140)
    assert "59 of the rounds since the start; NOT MIXING: krum needs 5 models and has 3" in screen
    past = drawn(a_view(status={"unmixed": {"rounds": 1, "because": None}}), width=140)
    assert "1 of the rounds since the start; the newest was" in past
    assert "not mixed" not in drawn(a_view(status={"unmixed": {"rounds": 0, "because": None}}))


def headings(screen):
    (line,) = [line for line in screen.splitlines() if "┃" in line]
    return [word.strip() for word in line.strip("┃").split("┃")]


@pytest.mark.parametrize(("width", "missing"), [
    (140, []), (100, ["sent", "received"]), (80, ["sent", "received", "strikes"]),
    (66, ["sent", "received", "strikes", "stale"]), (60, ["sent", "received", "strikes", "stale"]),
])  # fmt: skip
def test_a_narrow_screen_has_fewer_columns_and_no_word_of_them_is_cut(width, missing):
    clipped = {"standing": "clipped", "kept": 0.31, "distance": 2.0, "cause": "", "reason": ""}
    screen = drawn(a_view(peers=[a_peer("8a88e3dd", verdict=clipped, trust=0.875, dialed_by_me=True)]), width)
    everything = ["peer", "state", "round", "stale", "sent", "received", "strikes", "verdict", "trust"]
    assert headings(screen) == [name for name in everything if name not in missing]
    (row,) = [line for line in screen.splitlines() if "│ 8a88e3dd" in line]
    assert "0.88" in row
    assert "…" not in screen


def test_the_codec_is_named_once_and_one_is_not_many():
    told = {"model": "mlp 64-64-10, codec int8, seed 0", "codec": "int8", "neighbors": 1, "links": 1}
    screen = drawn(a_view(status=told))
    assert screen.count("codec") == 1
    assert "1 neighbor, 1 link, 9 in the directory" in screen


def test_a_node_that_has_just_started_has_dashes_where_it_knows_nothing():
    nothing = {"accuracy": None, "rounds": 0, "history": [], "loop_lag_ms": None, "updates": None, "rss_mb": None}
    screen = drawn(a_view(status=nothing, peers=[a_peer("00000001", round=None, staleness_rounds=None)], events=[]))
    assert "12 of endless" in screen
    assert "accuracy  -" in screen


def test_neighbors_come_first_and_peers_of_the_directory_only_are_not_listed():
    peers = [a_peer("0000000c", neighbor=False, linked=False), a_peer("0000000b", neighbor=False),
             a_peer("0000000a", dialed_by_me=True), a_peer("0000000d", linked=False),
             a_peer("0000000e", banned=True, neighbor=False, linked=False)]
    lines = drawn(a_view(peers=peers)).splitlines()
    shown = [(line.split()[1], line.split("│")[2].strip()) for line in lines if "0000000" in line]
    assert shown == [("0000000a", "neighbor, dialed"), ("0000000d", "neighbor, away"), ("0000000b", "link"),
                     ("0000000e", "banned")]


def test_a_hundred_neighbors_still_fit_on_one_screen():
    screen = drawn(a_view(peers=[a_peer(f"{n:08x}") for n in range(100)], events=["event"] * 50))
    assert f"and {100 - NEIGHBORS_SHOWN_MAX} more" in screen
    assert len(screen.splitlines()) < 42


def test_markup_and_escapes_of_a_stranger_are_shown_not_obeyed():
    screen = drawn(a_view(events=["[red]x[/red] \x1b[2J"], status={"federation": "[/]\x07"}))
    assert "[red]x[/red] ?[2J" in screen
    assert "in [/]?" in screen
    assert "\x1b" not in screen


def test_sparks_scale_between_the_lowest_and_the_highest():
    assert sparkline([0.0, 0.5, None, 1.0]) == "▁▅ █"
    assert sparkline([0.3, 0.3]) == "██"
    assert sparkline([]) == sparkline([None]).strip() == ""


@given(st.lists(st.none() | st.floats(-1e9, 1e9)))
def test_there_is_one_spark_per_value(values):
    assert len(sparkline(values)) == len(values)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (7e15, "7000.0 TB")]
)
def test_bytes_are_written_for_human_eyes(count, text):
    assert amount(count) == text


def test_the_terminal_follows_the_view_until_it_is_stopped():
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True)
    seen = asyncio.Event()
    rounds = iter(range(1000))

    def view():
        number = next(rounds)
        if number == 3:
            seen.set()
        return a_view(status={"round": number})

    async def main():
        task = asyncio.create_task(live.show(view, console, every_s=0.001))
        await seen.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert "2 of 40" in console.file.getvalue()
