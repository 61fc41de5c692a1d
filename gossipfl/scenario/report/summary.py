"""What came of a run, in words for a person: was it worth it, who was worst, what the liars achieved, what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gossipfl.scenario.report.wording import peers_text

Report = dict[str, Any]
_HAPPENINGS_MAX = 12


def text(report: Report, out: Path, page: Path | None = None) -> str:
    """The summary of a report; `out` is where it and the logs lie, `page` where it is drawn, if it is."""
    lines = [
        f"{report['scenario']} with seed {report['seed']}",
        f"  run       {report['peers']} peers, {report['rounds']} rounds, {report['rule']}, {report['codec']}",
        *_accuracy(report),
        *_liars(report),
        *_backdoor(report),
        *_concluded(report),
        *_happenings(report),
        *(f"  unheard   {sentence}" for sentence in report["unheard"]),
        *_missing(report),
        _cost(report),
        _time(report),
        f"  files     {out}",
        *([f"  page      {page}"] if page is not None else []),
        *(f"  MISSED    {sentence}" for sentence in report["missed"]),
    ]
    return "\n".join(lines)


def worst(report: Report) -> Report | None:
    """The honest peer that ended with the lowest accuracy, of those that finished."""
    finished = [peer for peer in report["per_peer"] if peer["honest"] and not peer["missing"]]
    return min(finished, key=lambda peer: peer["accuracy"], default=None)


def attack(liar: Report) -> str:
    """What a liar tried, with its options."""
    options = dict(liar["attack"])
    name, not_worst = options.pop("name"), options.pop("not_worst", None)
    notes = {not_worst: " (not the worst: daemons cannot ask the rule)"}
    return ", ".join([name, *(f"{key} {_plain(value)}{notes.get(key, '')}" for key, value in options.items())])


def outcome(report: Report) -> str:
    """What the liars achieved."""
    gain, least = report["gain"], report["accuracy"]["min"]
    refused = _refused_lies(report)
    screened = f"; {refused} of the lies were refused outright" if refused else ""
    if least is None or gain is None:
        return "and nobody honest finished"
    if gain <= 0:
        return f"and succeeded: honest peers would do better alone, by {-gain:.4f}{screened}"
    if any(sentence.startswith(("accuracy", "gain")) for sentence in report["missed"]):
        return f"and did harm: the worst honest peer reached {least:.4f}, and a promise was missed{screened}"
    last = worst(report)
    if last is not None and last["alone"] is not None and last["accuracy"] < last["alone"]:
        return f"and did harm: the worst honest peer reached {least:.4f}, and {last['alone']:.4f} alone{screened}"
    return f"and failed: the worst honest peer still reached {least:.4f}{screened}"


def _accuracy(report: Report) -> list[str]:
    together, alone, gain, last = report["accuracy"], report["alone"], report["gain"], worst(report)
    if last is None:
        return ["  together  no honest peer finished"]
    return [
        f"  together  {together['mean']:.4f} on average, {together['of_mean_model']:.4f} for the mean model",
        f"  alone     {alone['mean']:.4f} on average, so learning together gained {gain:+.4f}",
        f"  worst     peer {last['number']:02d} with {last['accuracy']:.4f}; alone it reaches {last['alone']:.4f}",
    ]


def _liars(report: Report) -> list[str]:
    """What the liars tried, those that tried the same together, and what came of it."""
    alike: dict[str, list[int]] = {}
    for peer in report["per_peer"]:
        if not peer["honest"]:
            alike.setdefault(f"tried {attack(peer)} for {peer['rounds']} rounds", []).append(peer["number"])
    told = [f"  liar      {peers_text(who)} {tried}" for tried, who in alike.items()]
    return [*told, *([f"            {outcome(report)}"] if told else [])]


def _backdoor(report: Report) -> list[str]:
    """How often a mark decides; accuracy says nothing of it, and neither do distances."""
    success = report.get("backdoor_success")
    if success is None:
        return []
    return [f"  backdoor  honest models answer {success:.1%} of marked test examples of other classes with its target"]


def _concluded(report: Report) -> list[str]:
    """What honest peers made of each other; a report of an older run says nothing of it."""
    found = report.get("conclusions") or {"sentences": [], "warnings": []}
    told = [f"  concluded {sentence}" for sentence in found["sentences"]]
    return told + [f"  UNFAIR?   {sentence}" for sentence in found["warnings"]]


def _refused_lies(report: Report) -> int:
    """How often an honest peer refused what a liar sent."""
    is_honest = {peer["number"]: peer["honest"] for peer in report["per_peer"]}
    return sum(count for by, of, count in report["graph"]["refusals"] if is_honest[by] and not is_honest[of])


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _happenings(report: Report) -> list[str]:
    """The first few faults that were carried out."""
    told = [f"{one['time_s']:6.1f} s, round {one['round']}: {one['text']}" for one in report["happenings"]]
    more = [f"and {len(told) - _HAPPENINGS_MAX} more"] if len(told) > _HAPPENINGS_MAX else []
    return [f"  happened  {line}" for line in [*told[:_HAPPENINGS_MAX], *more]]


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
    is_real = report["engine"] == "processes"
    return (
        f"  time      {seconds['total']:.1f} s in all{':' if is_real else '; simulated:'} "
        f"{seconds['start']:.1f} s until round 0, {seconds['first_round']:.1f} s for it{', compiling' * is_real}{later}"
    )
