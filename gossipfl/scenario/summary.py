"""What came of a run, in words for a person: was it worth it, who was worst, what the liars achieved, what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Report = dict[str, Any]


def text(report: Report, out: Path) -> str:
    """The summary of a report; `out` is where it and the logs lie."""
    lines = [
        f"{report['scenario']} with seed {report['seed']}",
        f"  run       {report['peers']} peers, {report['rounds']} rounds, {report['rule']}, {report['codec']}",
        *_accuracy(report),
        *_liars(report),
        *_missing(report),
        _cost(report),
        _time(report),
        f"  files     {out}",
        *(f"  MISSED    {sentence}" for sentence in report["missed"]),
    ]
    return "\n".join(lines)


def _accuracy(report: Report) -> list[str]:
    together, alone, gain = report["accuracy"], report["alone"], report["gain"]
    if together["mean"] is None:
        return ["  together  no honest peer finished"]
    worst = min((peer for peer in report["per_peer"] if _counts(peer)), key=lambda peer: peer["accuracy"])
    return [
        f"  together  {together['mean']:.4f} on average, {together['of_mean_model']:.4f} for the mean model",
        f"  alone     {alone['mean']:.4f} on average, so learning together gained {gain:+.4f}",
        f"  worst     peer {worst['number']:02d} with {worst['accuracy']:.4f}; alone it reaches {worst['alone']:.4f}",
    ]


def _counts(peer: Report) -> bool:
    return bool(peer["honest"] and not peer["missing"])


def _liars(report: Report) -> list[str]:
    """What each liar tried, and what came of it."""
    liars = [peer for peer in report["per_peer"] if not peer["honest"]]
    tried = [f"peer {liar['number']:02d} tried {_attack(liar)} for {liar['rounds']} rounds" for liar in liars]
    return [*(f"  liar      {sentence}" for sentence in tried), *([f"            {_outcome(report)}"] if tried else [])]


def _attack(liar: Report) -> str:
    name, *options = liar["attack"].items()
    return ", ".join([name[1], *(f"{key} {value:g}" for key, value in options)])


def _outcome(report: Report) -> str:
    worst, gain, refused = report["accuracy"]["min"], report["gain"], report["updates"]["refused"]
    screened = f"; {refused} updates were refused outright" if refused else ""
    if worst is None or gain is None:
        return "nobody honest finished"
    if gain > 0:
        return f"and failed: the worst honest peer still reached {worst:.4f}{screened}"
    return f"and succeeded: honest peers would do better alone, by {-gain:.4f}{screened}"


def _missing(report: Report) -> list[str]:
    lines = []
    for peer in report["missing"]:
        lines.append(f"  missing   peer {peer['number']:02d}: {peer['why']}")
        lines += [f"            | {line}" for line in peer["last_words"]]
    return lines


def _cost(report: Report) -> str:
    sent, updates, rss = report["bytes_sent"], report["updates"], report["rss_mb"]
    memory = f", {rss['max']:.0f} MB of memory at most" if rss is not None else ""
    traffic = f"{sent['per_peer_per_round']:,.0f} bytes per peer and round ({sent['control_share']:.1%} control)"
    return f"  cost      {traffic}, {updates['heard']} of {updates['expected']} updates heard in time{memory}"


def _time(report: Report) -> str:
    seconds = report["seconds"]
    if seconds["start"] is None:
        return f"  time      {seconds['total']:.1f} s in all; no round was finished"
    later = "" if seconds["per_round"] is None else f", {seconds['per_round']:.3f} s each later round"
    return (
        f"  time      {seconds['total']:.1f} s in all: {seconds['start']:.1f} s until round 0, "
        f"{seconds['first_round']:.1f} s for it, compiling{later}"
    )
