"""The drawing of the overlay: who averages with whom, who lies, where it was cut, who refused whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from gossipfl.overlay import Edge
from gossipfl.overlay.layout import layout
from gossipfl.overlay.picture import Look, Measures, element, measure
from gossipfl.scenario.report.page.series import name_of
from gossipfl.scenario.report.wording import peers_text

Tables = dict[str, Any]
_WORST_MAX = 6                                  # peers whose refusals are listed
_DENSE = 400                                    # edges that are drawn finer, so that they do not become one area


def section(report: Tables) -> str:
    """The picture and, beside it, what it shows in words."""
    css = "picture dense" if len(_edges(report)) > _DENSE else "picture"
    return f'<div class="network"><div class="{css}">{_picture(report)}</div><div>{_facts(report)}</div></div>'


def _picture(report: Tables) -> str:
    graph = _edges(report)
    look = _look(report)
    positions = layout(report["peers"], graph)
    drawn = element(graph, positions, look)
    badges = "".join(_badges(report, measure(positions, look)))
    return drawn.removesuffix("</svg>") + badges + "</svg>"


def _edges(report: Tables) -> list[Edge]:
    """All that is drawn: the overlay, and edges that were cut or refused though they are not there at the end."""
    shown = report["graph"]
    refused = [(min(by, of), max(by, of)) for by, of, _ in shown["refusals"]]
    return sorted({*map(tuple, shown["edges"]), *map(tuple, shown["cuts"]), *refused})


def _look(report: Tables) -> Look:
    refused = {(min(by, of), max(by, of)) for by, of, _ in report["graph"]["refusals"]}
    cuts = set(map(tuple, report["graph"]["cuts"]))
    words = {edge: f"{'refused ' * (edge in refused)}{'cut' * (edge in cuts)}".strip() for edge in refused | cuts}
    return Look(
        title="Who averages with whom",
        description=", ".join(text for _, text in _rows(report)),
        names=[_name(peer, report) for peer in report["per_peer"]],
        labels=[f"{peer['number']:02d}" for peer in report["per_peer"]],
        node_classes={peer["number"]: _node_class(peer) for peer in report["per_peer"] if _node_class(peer)},
        edge_classes=words,
        headed=False,
        paper=False,
    )


def _node_class(peer: Tables) -> str:
    return f"{'' if peer['honest'] else 'liar'} {'lost' if peer['missing'] else ''}".strip()


def _name(peer: Tables, report: Tables) -> str:
    """What is shown to whoever points at it."""
    times = _refused(report).get(peer["number"], 0)
    facts = [name_of(peer), *([f"accuracy {peer['accuracy']:.4f}"] if peer["accuracy"] is not None else [])]
    return "; ".join([*facts, *([f"refused {times} times"] if times else [])])


def _refused(report: Tables) -> dict[int, int]:
    """How often each peer was refused, by anybody."""
    counts: dict[int, int] = defaultdict(int)
    for _, of, count in report["graph"]["refusals"]:
        counts[of] += count
    return counts


def _badges(report: Tables, measures: Measures) -> Iterator[str]:
    """At each peer that was refused, how often: a number in a pill at its shoulder."""
    for peer, count in _refused(report).items():
        css = "badge" if report["per_peer"][peer]["honest"] else "badge liar"
        x, y = measures.at[peer] + (0.9 * measures.radius, -1.1 * measures.radius)
        text = f"×{count}"
        wide = 7 * len(text) + 8
        yield (
            f'<g class="{css}" transform="translate({x:.1f} {y:.1f})"><title>refused {count} times</title>'
            f'<rect x="-4" y="-8" width="{wide}" height="16" rx="8"/>'
            f'<text x="{wide / 2 - 4:.1f}" y="0">{text}</text></g>'
        )


def _facts(report: Tables) -> str:
    rows = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in _rows(report))
    return f'<dl class="facts">{rows}</dl>'


def _rows(report: Tables) -> list[tuple[str, str]]:
    topology = report["topology"]
    low, mean, high = topology["degree"]
    neighbors = f"{low} each" if low == high else f"{low} to {high}, {mean:.1f} on average"
    gap = topology["spectral_gap"]
    rows = [("overlay", f"{topology['kind']}, {topology['edges']} edges"), ("neighbors", neighbors)]
    if topology.get("edges_from") == "lived":
        rows.append(("drawn", "who heard each other in the last rounds: peers choose their neighbors"))
    if gap is not None:
        told = "a round of plain gossip takes away at least this share of disagreement"
        rows.append(("spectral gap", f"{gap:.3f}: {told}"))
    rows.append(("certified", _certified(topology)))
    if topology.get("mu") is not None:
        rows.append(("connectivity", _connectivity(topology)))
    if topology.get("standing", "honest") != "honest":
        rows.append(("standing", topology["why"]))
    return [*rows, *_refusal_rows(report), *_cut_rows(report), *_lost_rows(report)]


def _certified(topology: Tables) -> str:
    """With the weights in use, unless an older version wrote it; what rests on a search is not said to be sure."""
    budget = topology.get("certified_in_use", topology["certified_budget"])
    proven = topology.get("proven_in_use", 0)
    if not budget:
        return "0: this graph alone promises nothing against liars"
    where = "wherever they sit," if proven == budget else "in every place that a search found for them,"
    brings = "is sure to bring" if proven == budget else f"brings (proven: {proven})"
    return f"{budget}: with so many liars, {where} clipping by cs_plus {brings} the others together"


def _connectivity(topology: Tables) -> str:
    impossible = topology["impossible_budget"]
    end = "" if impossible is None else f"; no rule can promise anything from {impossible} liars on"
    return f"mu = {topology['mu']:.3g}{end}"


def _refusal_rows(report: Tables) -> list[tuple[str, str]]:
    counts = sorted(_refused(report).items(), key=lambda item: (-item[1], item[0]))
    by = {of: len({one for one, other, _ in report["graph"]["refusals"] if other == of}) for of, _ in counts}
    told = [f"peer {of:02d} {count} times by {by[of]}" for of, count in counts[:_WORST_MAX]]
    more = [f"{len(counts) - _WORST_MAX} more peers"] if len(counts) > _WORST_MAX else []
    return [("refused", "; ".join([*told, *more]))] if counts else []


def _cut_rows(report: Tables) -> list[tuple[str, str]]:
    cuts: Sequence[Any] = report["graph"]["cuts"]
    return [("cut", f"{len(cuts)} edges for a while, dashed")] if cuts else []


def _lost_rows(report: Tables) -> list[tuple[str, str]]:
    lost = [peer["number"] for peer in report["missing"]]
    return [("not finished", f"{peers_text(lost)}, drawn hollow")] if lost else []
