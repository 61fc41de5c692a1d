"""What came of a run, as numbers: report.json (schema 1, a stable contract that other tools read) and metrics.jsonl.

Arithmetic over what collect.py found and alone.py measured; reads and measures nothing itself.  Accuracies are of
honest peers that finished: a peer that was lost is named under "missing", not averaged in.  The words for a person
are in summary.py.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from statistics import fmean, median_low
from typing import Any

import numpy as np
import numpy.typing as npt

from gossipfl.config import to_tables
from gossipfl.node.store import RoundRow
from gossipfl.overlay import Edge, certified_budget, mixing_matrix, spectral_gap
from gossipfl.scenario.alone import Judged, honest_vectors
from gossipfl.scenario.collect import Outcome
from gossipfl.scenario.plan import Plan
from gossipfl.scenario.promises import difference, missed

SCHEMA = 1
REPORT_FILE, METRICS_FILE = "report.json", "metrics.jsonl"

Tables = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When things happened."""

    launched_at: float                          # Unix time
    wall_s: float                               # from the command to the report
    ready_s: float | None                       # from launch until the last peer listened


def build(plan: Plan, outcomes: Sequence[Outcome], judged: Judged, times: Times) -> Tables:
    """The whole report."""
    spec = plan.spec
    honest = [outcome for outcome in outcomes if outcome.peer.liar is None]
    accuracy = _accuracy(honest, judged)
    twins = _spread(list(judged.alone.values()))
    missing = [_missing(outcome) for outcome in outcomes if outcome.missing]
    return {
        "schema": SCHEMA,
        "scenario": spec.scenario.name,
        "engine": spec.scenario.engine,
        "seed": plan.seed,
        "peers": spec.peers.count,
        "liars": len(plan.liars),
        "rounds": spec.scenario.rounds,
        "wall_s": times.wall_s,
        "seconds": _seconds(outcomes, times),
        "model": {"name": spec.model.name, "size": judged.size},
        "rule": spec.aggregation.rule,
        "codec": spec.codec.name,
        "topology": topology(plan, outcomes),
        "accuracy": accuracy,
        "alone": twins,
        "gain": difference(accuracy["mean"], twins["mean"]),
        "consensus_distance": distance(np.array(honest_vectors(outcomes))),
        "bytes_sent": _bytes_sent(outcomes),
        "updates": {name: _total(honest, name) for name in ("expected", "heard", "late", "refused")},
        "rss_mb": _rss_mb(outcomes),
        "curve": curve(outcomes, times.launched_at),
        "per_peer": [_peer(outcome, judged) for outcome in outcomes],
        "missing": missing,
        "expect": to_tables(spec.expect),
        "missed": missed(spec.expect, accuracy, twins, sum(row["honest"] for row in missing)),
        "params_sha256": None,                  # real processes do not repeat bit for bit
    }


def write(report: Tables, outcomes: Sequence[Outcome], launched_at: float, out: Path) -> None:
    """Both files, each whole or not at all; the report last, so that its presence says that all is there."""
    lines = [json.dumps(line) for line in metrics(outcomes, launched_at)]
    _write_whole(out / METRICS_FILE, "".join(f"{line}\n" for line in lines))
    _write_whole(out / REPORT_FILE, json.dumps(report, indent=1, allow_nan=False) + "\n")


def metrics(outcomes: Sequence[Outcome], launched_at: float) -> list[Tables]:
    """One table per peer and round: the peer's own row, without its sketch."""
    names = [field.name for field in fields(RoundRow) if field.name not in ("sketch", "time_s")]
    return [
        {"peer": outcome.peer.number, "honest": outcome.peer.liar is None, "time_s": row.time_s - launched_at}
        | {name: _finite(getattr(row, name)) for name in names}
        for outcome in outcomes
        for row in outcome.rows
    ]


def curve(outcomes: Sequence[Outcome], launched_at: float) -> list[Tables]:
    """A point per round, when the last honest peer that got so far had mixed it.

    Distance is estimated from sketches.  `bytes` are those of all peers, liars too, since the beginning.
    """
    honest = [{row.round: row for row in outcome.rows} for outcome in outcomes if outcome.peer.liar is None]
    points = []
    for round in range(max((outcome.rounds for outcome in outcomes if outcome.peer.liar is None), default=0)):
        rows = [own[round] for own in honest if round in own]
        if rows:
            points.append(_point(round, rows, launched_at) | {"bytes": _bytes_by(outcomes, round)})
    return points


def distance(vectors: npt.NDArray[np.float32]) -> float | None:
    """Root mean square over the rows of (n, d) of their distance from the mean row; None without rows."""
    if not len(vectors):
        return None
    apart = vectors - vectors.mean(axis=0, dtype=np.float64)
    mean_square = float(np.einsum("nd,nd->n", apart, apart).mean())
    return math.sqrt(mean_square) if math.isfinite(mean_square) else None


def topology(plan: Plan, outcomes: Sequence[Outcome]) -> Tables:
    """The overlay and what it is worth.

    Where peers choose among many and exchange neighbors, there is no one graph: degrees are then each peer's median
    over its rounds, the gap is unknown and nothing is certified.
    """
    count, graph = plan.spec.peers.count, _graph(plan)
    if graph is None:
        degrees = np.array([median_low(row.expected for row in one.rows) for one in outcomes if one.rows] or [0])
    else:
        degrees = np.bincount(np.array(graph).reshape(-1), minlength=count)
    return {
        "kind": plan.spec.overlay.kind,
        "edges": int(degrees.sum()) // 2,
        "degree": [int(degrees.min()), float(degrees.mean()), int(degrees.max())],
        "spectral_gap": None if graph is None else spectral_gap(mixing_matrix(count, graph)),
        "certified_budget": 0 if graph is None else certified_budget(count, graph),
    }


def _accuracy(honest: Sequence[Outcome], judged: Judged) -> Tables:
    numbers = [one.peer.number for one in honest if one.finished]
    return _spread([judged.final[number] for number in numbers]) | {"of_mean_model": judged.of_mean_model}


def _spread(values: Sequence[float]) -> Tables:
    """mean, min and max; None of nothing."""
    if not values:
        return {"mean": None, "min": None, "max": None}
    return {"mean": fmean(values), "min": min(values), "max": max(values)}


def _point(round: int, rows: Sequence[RoundRow], launched_at: float) -> Tables:
    accuracies = _spread([row.accuracy for row in rows if row.accuracy is not None])
    return {
        "round": round,
        "time_s": max(row.time_s for row in rows) - launched_at,
        "accuracy_mean": accuracies["mean"],
        "accuracy_min": accuracies["min"],
        "consensus_distance": distance(np.array([np.frombuffer(row.sketch, "<f4") for row in rows])),
    }


def _bytes_by(outcomes: Sequence[Outcome], round: int) -> int:
    """Bytes that all peers had sent after this round; one that has ended earlier sends no more."""
    return sum(max((row.bytes_sent for row in one.rows if row.round <= round), default=0) for one in outcomes)


def _bytes_sent(outcomes: Sequence[Outcome]) -> Tables:
    last = [outcome.rows[-1] for outcome in outcomes if outcome.rows]
    total, control = sum(row.bytes_sent for row in last), sum(row.control_bytes_sent for row in last)
    peer_rounds = sum(outcome.rounds for outcome in outcomes)
    return {
        "total": total,
        "per_peer_per_round": total / peer_rounds if peer_rounds else 0.0,
        "control_share": control / total if total else 0.0,
    }


def _seconds(outcomes: Sequence[Outcome], times: Times) -> Tables:
    """Where the time went: until the first round began, that one, which compiles, a later one on average, all."""
    rows = [row for outcome in outcomes for row in outcome.rows]
    if not rows:
        return {"ready": times.ready_s, "start": None, "first_round": None, "per_round": None, "total": times.wall_s}
    first = min(row.round for row in rows)
    begin = min(row.time_s - row.busy_s - row.wait_s for row in rows if row.round == first)
    compiled, end = max(row.time_s for row in rows if row.round == first), max(row.time_s for row in rows)
    later = max(row.round for row in rows) - first
    return {
        "ready": times.ready_s,
        "start": begin - times.launched_at,
        "first_round": compiled - begin,
        "per_round": (end - compiled) / later if later else None,
        "total": times.wall_s,
    }


def _rss_mb(outcomes: Sequence[Outcome]) -> Tables | None:
    """The most memory that each peer showed at the end of a round: the largest and the mean."""
    most = [max(row.rss_mb for row in outcome.rows) for outcome in outcomes if outcome.rows]
    return {"max": max(most), "mean": fmean(most)} if most else None


def _total(outcomes: Sequence[Outcome], name: str) -> int:
    return sum(getattr(row, name) for outcome in outcomes for row in outcome.rows)


def _peer(outcome: Outcome, judged: Judged) -> Tables:
    number, liar = outcome.peer.number, outcome.peer.liar
    return {
        "number": number,
        "id": str(outcome.peer.identity.peer_id),
        "honest": liar is None,
        "attack": None if liar is None else {"name": liar.attack, **to_tables(liar.build())},
        "rounds": outcome.rounds,
        "accuracy": judged.final.get(number),
        "alone": judged.alone.get(number),
        "bytes_sent": outcome.rows[-1].bytes_sent if outcome.rows else 0,
        "refusals": _total([outcome], "refused"),
        "missing": outcome.missing,
        "exit_code": outcome.exit_code,
    }


def _missing(outcome: Outcome) -> Tables:
    return {
        "number": outcome.peer.number,
        "honest": outcome.peer.liar is None,
        "why": outcome.missing,
        "last_words": list(outcome.last_words),
    }


def _graph(plan: Plan) -> list[Edge] | None:
    """All edges, where they are known: named by the scenario, or everyone with everyone."""
    count = plan.spec.peers.count
    if plan.edges is not None:
        return list(plan.edges)
    if plan.neighbors_min < count - 1:
        return None
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; a number that is none becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
