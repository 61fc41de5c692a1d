"""The plots over rounds and over peers: accuracy, disagreement, what each peer gained, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from gossipfl.scenario.report.page.plot import Axis, Line, Plot, counted, linear, logarithmic
from gossipfl.scenario.report.page.series import Point, Run
from gossipfl.scenario.report.page.units import bytes_text, percent

Tables = dict[str, Any]
_LOG_FROM = 30.0                                # a curve that spans this factor is drawn on a logarithmic axis


def learning(run: Run) -> str:
    """Accuracy and consensus distance over rounds."""
    if not run.rounds:
        return '<p class="empty">No honest peer finished a round: there is nothing to draw.</p>'
    return (
        f'<div class="pair"><figure><figcaption><h3>Accuracy</h3><p>{escape(_accuracy_words(run))}</p></figcaption>'
        f"{_accuracy(run)}</figure>"
        "<figure><figcaption><h3>Consensus distance</h3><p>How far honest models lie from their mean, estimated "
        f"from short sketches of them: lower is agreement.</p></figcaption>{_distance(run)}</figure></div>"
    )


def peers(run: Run) -> str:
    """What each peer reached alone and together."""
    everybody = run.report["per_peer"]                        # the axis holds liars too: one at its edge would mislead
    found = [peer for peer in everybody if peer["honest"]]
    known = [value for peer in everybody for value in (peer["alone"], peer["accuracy"]) if value is not None]
    if not known:
        return ""
    y, x = _accuracy_axis(known), counted(len(everybody), centered=True, write=lambda n: f"{n:02d}")
    lines = [
        *(Line(pieces=[[(p["number"], p["alone"]), (p["number"], p["accuracy"])]], css="gain", peer=p["number"])
          for p in found if p["alone"] is not None and p["accuracy"] is not None),
        _dots(run, found, "alone", "dot alone", "alone"),
        _dots(run, found, "accuracy", "dot mean", "together"),
    ]  # fmt: skip
    plot = Plot(
        name="peers", label="Accuracy of each honest peer, alone and together", x=x, y=y,
        lines=[line for line in lines if line.pieces], inside=_others(run, x, y), unit="peer",
    )  # fmt: skip
    return (
        "<figure><figcaption><h3>What each peer gained</h3><p>From where it gets alone to where it got together. "
        f"{_shapes(run)}</p></figcaption>{plot.html()}</figure>"
    )


def traffic(run: Run) -> str:
    """Bytes over rounds, in words and as curves."""
    if not run.rounds:
        return ""
    sent, report = run.report["bytes_sent"], run.report
    facts = (
        f"{bytes_text(sent['total'])} in all, {bytes_text(sent['per_peer_per_round'])} per peer and round, "
        f"{percent(sent['control_share'])} of it control; a model is {bytes_text(4 * report['model']['size'])} large."
    )
    total, each = run.points("bytes"), run.bytes_per_round()
    plots = [("Bytes sent since the beginning", "bytes", total), ("Bytes sent in each round", "flow", each)]
    drawn = [
        f"<figure><figcaption><h3>{heading}</h3></figcaption>{_bytes(run, name, points)}</figure>"
        for heading, name, points in plots
    ]
    return f'<p>{facts}</p><div class="pair even">{"".join(drawn)}</div>'


def _accuracy(run: Run) -> str:
    single = [
        Line(pieces=run.accuracy(peer), css="peer liar" if peer in run.liars else "peer", peer=peer)
        for peer in (*run.liars, *run.honest)
    ]
    alone, final = run.report["alone"]["mean"], run.report["accuracy"]
    mean, worst = run.points("accuracy_mean"), run.points("accuracy_min")
    main = [
        Line(pieces=_one(worst), css="worst", end=f"worst {_three(final['min'])}"),
        Line(pieces=_one(mean), css="mean", end=f"mean {_three(final['mean'])}"),
    ]
    if alone is not None:
        flat: list[Point] = [(0, alone), (max(run.rounds - 1, 1), alone)]
        main.insert(0, Line(pieces=[flat], css="alone", end=f"alone {_three(alone)}"))
    if run.against is not None:
        label, other = run.against[0], run.against[1]
        points = [(r, a) for r, a in _of(other, "accuracy_mean") if r < run.rounds]
        main.append(Line(pieces=_one(points), css="other", end=f"{_three(other['accuracy']['mean'])} {label}"))
    seen = [line for line in (*single, *main) if "liar" not in line.css]
    shown = [value for line in seen for piece in line.pieces for _, value in piece]
    return Plot(
        name="accuracy", label=_accuracy_words(run), x=counted(run.rounds), y=_accuracy_axis(shown or [0.0, 1.0]),
        lines=[*single, *main], marks=happened(run),
    ).html()  # fmt: skip


def _distance(run: Run) -> str:
    points = [(number, value) for number, value in run.points("consensus_distance") if value > 0]
    values = [value for _, value in points] or [1.0]
    wide = max(values) / min(values) > _LOG_FROM
    axis = logarithmic(min(values), max(values)) if wide else linear(0, max(values), lambda value: f"{value:.3g}")
    line = Line(pieces=_one(points), css="mean", end="" if not points else f"{points[-1][1]:.3g}")
    label = "Root mean square distance of honest models from their mean, over rounds"
    return Plot(
        name="distance", label=label, x=counted(run.rounds), y=axis, lines=[line], marks=happened(run), is_small=True
    ).html()


def _bytes(run: Run, name: str, points: Sequence[Point]) -> str:
    axis = linear(0, max(value for _, value in points), bytes_text)
    line = Line(pieces=_one(points), css="mean", end=bytes_text(points[-1][1]))
    label = "Bytes that all peers sent, " + ("since the beginning" if name == "bytes" else "in each round")
    x, events = counted(run.rounds), happened(run)
    return Plot(name=name, label=label, x=x, y=axis, lines=[line], marks=events, is_small=True).html()


def happened(run: Run) -> list[tuple[float, int]]:
    """Where things happened, numbered as in the list of them."""
    last = max(run.rounds - 1, 0)
    return [(min(max(one["round"], 0), last), number) for number, one in enumerate(run.report["happenings"], 1)]


def _accuracy_axis(values: Sequence[float]) -> Axis:
    return linear(min(values), max(values), lambda value: f"{value:.2f}".rstrip("0").rstrip(".") or "0")


def _accuracy_words(run: Run) -> str:
    """What the lines are."""
    faint = "faint lines are single peers" + (", dotted ones liars" if run.liars else "")
    lost = ", of peers that finished" if run.report["missing"] else ""
    other = "" if run.against is None else f" Dashed: the mean of {run.against[0]}."
    return f"On each peer's test examples; {faint}. Alone is where the twins without collaboration end{lost}.{other}"


def _dots(run: Run, found: Sequence[Tables], name: str, css: str, end: str) -> Line:
    """One dot per peer, named beside the mean of those that finished."""
    points: list[Point] = [(peer["number"], peer[name]) for peer in found if peer[name] is not None]
    return Line(pieces=[[point] for point in points], css=css, end=end, end_at=run.report[name]["mean"])


def _others(run: Run, x: Axis, y: Axis) -> str:
    """Liars as diamonds where their own model ends, and crosses for who is missing."""
    drawn = []
    for peer in run.report["per_peer"]:
        if not peer["honest"] and peer["accuracy"] is not None:
            drawn.append(_mark("diamond", peer["number"], x, y.share(peer["accuracy"])))
        if peer["missing"]:
            drawn.append(_mark("cross", peer["number"], x, 0.0))
    return "".join(drawn)


def _mark(css: str, peer: int, x: Axis, height: float) -> str:
    at = f"left:{100 * x.share(peer):.2f}%;bottom:{100 * height:.1f}%"
    return f'<i class="{css}" data-peer="{peer}" style="{at}"></i>'


def _shapes(run: Run) -> str:
    liars = "Diamonds are liars' own models. " if run.liars else ""
    return liars + ("A cross: it did not finish." if run.report["missing"] else "")


def _one(points: Sequence[Point]) -> list[Sequence[Point]]:
    return [points] if points else []


def _of(report: Tables, name: str) -> list[Point]:
    return [(point["round"], point[name]) for point in report["curve"] if point[name] is not None]


def _three(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
