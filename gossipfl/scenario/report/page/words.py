"""The words of a page: its head, the tiles that tell the end at a glance, what happened, the file, the table."""

from __future__ import annotations

from html import escape
from itertools import groupby
from typing import Any

from gossipfl.scenario import library
from gossipfl.scenario.report import summary
from gossipfl.scenario.report.page.units import bytes_text, percent, seconds_text

Tables = dict[str, Any]


def title(report: Tables) -> str:
    """What the tab of the browser says."""
    return f"{report.get('title') or report['scenario']} (seed {report['seed']})"


def head(report: Tables) -> str:
    """Name, verdict, story and how it was run."""
    file = report.get("file")
    story = library.told(file["text"]) if file else ""
    ran = [
        report["scenario"], f"{report['peers']} peers", f"{report['rounds']} rounds", report["rule"], report["codec"],
        f"{report['model']['name']} of {report['model']['size']:,} parameters", f"engine {report['engine']}",
        f"seed {report['seed']}", seconds_text(report["wall_s"]),
    ]  # fmt: skip
    return (
        f"<h1>{escape(report.get('title') or report['scenario'])}</h1>"
        f'<p class="ran">{" · ".join(escape(part) for part in ran)}</p>{verdict(report)}'
        f'<div class="story">{_changes(file)}{_story(story)}</div>'
    )


def _story(text: str) -> str:
    """Paragraphs; what is indented, or stands behind a colon and a gap, is a command to be copied, line by line."""
    blocks = groupby(text.splitlines(), _tag)
    return "".join(f"<{tag}>{escape(chr(10).join(lines))}</{tag}>" for tag, lines in blocks if tag)


def _tag(line: str) -> str:
    return "pre" if line.startswith(" ") or ":  " in line else "p" if line else ""


def _changes(file: Tables | None) -> str:
    """What this run was told besides its file, before the file's own story, which knows nothing of it."""
    if not file or not file["overrides"]:
        return ""
    changed = ", ".join(f"<code>{escape(one)}</code>" for one in file["overrides"])
    return f'<p><b>This run was changed:</b> {changed}. What follows was written for the run without that.</p>'


def verdict(report: Tables) -> str:
    """Promises kept or missed, loudly."""
    if report["missed"]:
        items = "".join(f"<li>{escape(sentence)}</li>" for sentence in report["missed"])
        return f'<div class="verdict bad"><b>✗ Missed what it promised</b><ul>{items}</ul></div>'
    promised = {name: value for name, value in report["expect"].items() if value is not None}
    words = ", ".join(f"{name} {value:g}" for name, value in promised.items())
    return f'<div class="verdict good"><b>✓ Kept what it promised</b> <span>{escape(words)}</span></div>'


def tiles(report: Tables) -> str:
    """The end at a glance."""
    found = [_worst_tile(report), _gain_tile(report), _liar_tile(report), _heard_tile(report), _cost_tile(report)]
    return "".join(found)


def _tile(css: str, label: str, figure: str, note: str, extra: str = "") -> str:
    return (
        f'<div class="tile {css}"><h2>{escape(label)}</h2><p class="figure">{escape(figure)}</p>{extra}'
        f"<p>{escape(note)}</p></div>"
    )


def _worst_tile(report: Tables) -> str:
    last = summary.worst(report)
    if last is None:
        return _tile("worst bad", "worst honest peer", "–", "no honest peer finished")
    note = f"accuracy of peer {last['number']:02d}; alone it reaches {last['alone']:.3f}"
    return _tile("worst", "worst honest peer", f"{last['accuracy']:.3f}", note)


def _gain_tile(report: Tables) -> str:
    together, alone, gain = report["accuracy"]["mean"], report["alone"]["mean"], report["gain"]
    if gain is None:
        return _tile("gain bad", "gain over learning alone", "–", "nothing to compare")
    bars = "".join(
        f'<div class="bar"><i class="{css}" style="width:{100 * value:.1f}%"></i></div>'
        for css, value in (("mean", together), ("alone", alone))
    )
    note = f"{together:.3f} together, {alone:.3f} alone, on average"
    return _tile("gain" if gain > 0 else "gain bad", "gain over learning alone", f"{gain:+.3f}", note, bars)


def _liar_tile(report: Tables) -> str:
    count = report["liars"]
    if not count:
        return _tile("calm", "liars", "none", "every peer was honest")
    tried = sorted({summary.attack(peer) for peer in report["per_peer"] if not peer["honest"]})
    did_harm = "and failed" not in summary.outcome(report)
    success = report.get("backdoor_success")
    marked = "" if success is None else f"; the backdoor works on {percent(success)} of marked examples"
    note = f"tried {'; '.join(tried)}, {summary.outcome(report)}{marked}"
    return _tile("liars bad" if did_harm else "liars", "liars", f"{count} of {report['peers']}", note)


def _heard_tile(report: Tables) -> str:
    updates = report["updates"]
    share = updates["heard"] / updates["expected"] if updates["expected"] else 0.0
    note = f"of {updates['expected']:,} expected; {updates['late']:,} late, {updates['refused']:,} refused"
    return _tile("calm", "updates heard", percent(share), note)


def _cost_tile(report: Tables) -> str:
    sent, seconds = report["bytes_sent"], report["seconds"]
    each = "" if seconds["per_round"] is None else f", {seconds_text(seconds['per_round'])} a round"
    memory = f", {report['rss_mb']['max']:.0f} MB of memory" if report["rss_mb"] else ""
    note = f"per peer and round, {percent(sent['control_share'])} control{each}{memory}"
    return _tile("calm", "cost", bytes_text(sent["per_peer_per_round"]), note)


def happenings(report: Tables) -> str:
    """The numbered list behind the marks over the plots, and who did not finish."""
    items = "".join(
        f'<li id="happened-{number}"><b>{number}</b> <time>{one["time_s"]:.1f} s, round {one["round"]}</time> '
        f"{escape(one['text'])}</li>"
        for number, one in enumerate(report["happenings"], 1)
    )
    lost = "".join(_lost(peer) for peer in report["missing"])
    told = f'<h3>What happened</h3><ol class="happened">{items}</ol>' if items else ""
    return told + (f'<h3>Who did not finish</h3><ul class="lost">{lost}</ul>' if lost else "")


def _lost(peer: Tables) -> str:
    words = escape("\n".join(peer["last_words"]))
    shown = f"<details><summary>its last words</summary><pre>{words}</pre></details>" if words else ""
    liar = "" if peer["honest"] else " (a liar)"
    return f"<li>peer {peer['number']:02d}{liar}: {escape(peer['why'])}{shown}</li>"


def scenario(report: Tables) -> str:
    """The file as it was written; what the command line changed stands in the head."""
    file = report.get("file")
    if not file:
        return '<p class="empty">The scenario was not given as a file.</p>'
    return f"<pre>{escape(file['text'].rstrip())}</pre>"


def table(report: Tables) -> str:
    """All peers in figures, for who reads rather than looks."""
    heads = ("peer", "", "rounds", "unheard in", "accuracy", "alone", "sent", "refused by it", "ID")
    rows = "".join(_row(peer) for peer in report["per_peer"])
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(peer: Tables) -> str:
    kind = "honest" if peer["honest"] else f"◆ {summary.attack(peer)}"
    cells = [
        f"{peer['number']:02d}", kind + (f"; {peer['missing']}" if peer["missing"] else ""), str(peer["rounds"]),
        str(peer["rounds_missed"]), _four(peer["accuracy"]), _four(peer["alone"]), bytes_text(peer["bytes_sent"]),
        str(peer["refusals"]), peer["id"],
    ]  # fmt: skip
    inside = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr data-peer="{peer["number"]}">{inside}</tr>'


def _four(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"

