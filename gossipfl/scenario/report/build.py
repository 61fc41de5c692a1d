"""What came of a run, as files: report.json (schema 1, a contract that other tools read), metrics.jsonl and a page.

Puts together what figures.py, heard.py, graph.py and conclusions.py compute of what an engine left and alone.py
measured.  Accuracies, together and alone, are of the honest peers that finished: a peer that was lost is named under
"missing" and averaged into neither.
The words for a person are in summary.py, the page in page/, two runs side by side in compare.py.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gossipfl.config import to_tables
from gossipfl.errors import StateError
from gossipfl.node.store import RoundRow
from gossipfl.scenario.alone import Judged, honest_vectors
from gossipfl.scenario.liars import Attack
from gossipfl.scenario.liars.search import WORST
from gossipfl.scenario.outcome import Outcome, Ran
from gossipfl.scenario.plan import Plan
from gossipfl.scenario.report import figures, graph, heard, page
from gossipfl.scenario.report.conclusions import conclusions, listed
from gossipfl.scenario.report.promises import difference, missed

SCHEMA = 1
REPORT_FILE, METRICS_FILE, PAGE_FILE, SCENARIO_FILE = "report.json", "metrics.jsonl", "report.html", "scenario.toml"
_NAMED = ("heard_from", "late_from", "refused_from")

Tables = dict[str, Any]


def build(
    plan: Plan, ran: Ran, judged: Judged, *, wall_s: float, source: str = "", overrides: Sequence[str] = ()
) -> Tables:
    """The whole report.

    wall_s: from the command to here.  source, overrides: the scenario's file as it was written, and what was changed.
    """
    spec, outcomes = plan.spec, ran.outcomes
    honest = [outcome for outcome in outcomes if outcome.peer.liar is None]
    done = [outcome.peer.number for outcome in honest if outcome.finished]
    accuracy = figures.spread([judged.final[number] for number in done]) | {"of_mean_model": judged.of_mean_model}
    twins = figures.spread([judged.alone[number] for number in done])
    missing = [_missing(outcome) for outcome in outcomes if outcome.missing]
    grid = heard.grid(outcomes)
    unheard = heard.unheard(outcomes, grid)
    distance = figures.distance(np.array(honest_vectors(outcomes)))
    concluded = conclusions(outcomes)
    lost = sum(row["honest"] and not row["removed"] for row in missing)
    return {
        "schema": SCHEMA,
        "scenario": spec.scenario.name,
        "title": spec.scenario.title,
        "engine": spec.scenario.engine,
        "seed": plan.seed,
        "peers": spec.peers.count,
        "liars": len(plan.liars),
        "rounds": spec.scenario.rounds,
        "wall_s": wall_s,
        "seconds": figures.seconds(ran, wall_s),
        "model": {"name": spec.model.name, "size": judged.size},
        "rule": " + ".join([*plan.rule.pre, plan.rule.rule]),
        "rule_asked": spec.aggregation.rule,
        "codec": spec.codec.name,
        "topology": graph.topology(plan, outcomes),
        "accuracy": accuracy,
        "backdoor_success": judged.backdoor_success,
        "alone": twins,
        "gain": difference(accuracy["mean"], twins["mean"]),
        "consensus_distance": distance,
        "bytes_sent": figures.bytes_sent(outcomes),
        "updates": {name: figures.total(honest, name) for name in ("expected", "heard", "late", "refused")},
        "rss_mb": figures.rss_mb(outcomes),
        "curve": figures.curve(outcomes, ran.launched_at),
        "per_peer": [
            _peer(outcome, judged, spans, by_others, rule_is_seen=spec.scenario.engine != "processes")
            for outcome, spans, by_others in zip(outcomes, unheard, concluded["per_peer"], strict=True)
        ],
        "conclusions": concluded,
        "missing": missing,
        "happenings": [asdict(happening) | {"peers": list(happening.peers)} for happening in ran.happenings],
        "unheard": heard.sentences(unheard),
        "heard": grid,
        "graph": graph.drawn(plan, ran),
        "expect": to_tables(spec.expect),
        "missed": missed(spec.expect, accuracy, twins, lost, distance),
        "params_sha256": None if spec.scenario.engine == "processes" else figures.params_sha256(outcomes),
        "file": {"text": source, "overrides": list(overrides)} if source else None,
    }


def write(report: Tables, ran: Ran, out: Path) -> None:
    """All files, each whole or not at all; the report last, so that its presence says that all is there."""
    lines = metrics(ran)
    _write_whole(out / METRICS_FILE, "".join(f"{json.dumps(line)}\n" for line in lines))
    if report["file"] is not None:
        _write_whole(out / SCENARIO_FILE, report["file"]["text"])
    write_page(out / PAGE_FILE, report, lines)
    _write_whole(out / REPORT_FILE, json.dumps(report, indent=1, allow_nan=False) + "\n")


def write_page(path: Path, report: Tables, lines: Sequence[Tables], against: page.Against | None = None) -> None:
    """The page of a report and its metrics.  Raises StateError if there is no writing to `path`."""
    try:
        _write_whole(path, page.render(report, lines, against))
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}; name another file with --html") from None


def read(out: Path) -> Tables:
    """The report of a run in `out`.  Raises StateError if there is none that this program can read."""
    path = out / REPORT_FILE
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise StateError(f"{out} holds no {REPORT_FILE}: name the --out directory of a run that has ended") from None
    except ValueError as error:
        raise StateError(f"{path} is damaged ({error}): run the scenario again") from None
    schema = report.get("schema") if isinstance(report, dict) else None
    if schema != SCHEMA:
        raise StateError(f"{path} has schema {schema} and this program reads {SCHEMA}: use the gossipfl that wrote it")
    return dict(report)


def read_metrics(out: Path) -> list[Tables]:
    """Every peer's rounds of a run in `out`.  Raises StateError if they are not there or damaged."""
    path = out / METRICS_FILE
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        msgspec.convert(rows, list[_Row])
        return rows
    except OSError as error:
        raise StateError(f"cannot read {path}, from which the page is drawn: {error.strerror}") from None
    except ValueError as error:
        raise StateError(f"{path} is damaged ({error}): run the scenario again") from None


class _Row(msgspec.Struct):
    """What the page reads of a line; lines of other versions hold more or less besides."""

    peer: int
    round: int
    accuracy: float | None


def metrics(ran: Ran) -> list[Tables]:
    """One table per peer and round: the peer's own row without its sketch, with numbers instead of peer IDs."""
    numbers = heard.numbers_of(ran.outcomes)
    plain = [field.name for field in fields(RoundRow) if field.name not in ("sketch", "time_s", "verdicts", *_NAMED)]
    return [
        {"peer": outcome.peer.number, "honest": outcome.peer.liar is None, "time_s": row.time_s - ran.launched_at}
        | {name: _finite(getattr(row, name)) for name in plain}
        | {name: heard.named(getattr(row, name), numbers) for name in _NAMED}
        | {"verdicts": listed(row.verdicts, numbers)}
        for outcome in ran.outcomes
        for row in outcome.rows
    ]


def _tried(attack: Attack, rule_is_seen: bool) -> Tables:
    """The options of an attack as they were used: whoever cannot ask the rule does not find the worst strength."""
    options = to_tables(attack)
    if attack.unseen is None or rule_is_seen or options[attack.unseen[0]] != WORST:
        return options
    option, stand_in = attack.unseen
    return options | {option: stand_in, "not_worst": option}


def _peer(
    outcome: Outcome, judged: Judged, unheard: Sequence[heard.Span], by_others: Tables, *, rule_is_seen: bool
) -> Tables:
    number, liar = outcome.peer.number, outcome.peer.liar
    return {
        "number": number,
        "id": str(outcome.peer.identity.peer_id),
        "honest": liar is None,
        "attack": None if liar is None else {"name": liar.attack, **_tried(liar.build(), rule_is_seen)},
        "rounds": outcome.rounds,
        "rounds_missed": sum(last - first + 1 for first, last in unheard),
        "unheard": [list(span) for span in unheard],
        "accuracy": judged.final.get(number),
        "alone": judged.alone.get(number),
        "bytes_sent": outcome.rows[-1].bytes_sent if outcome.rows else 0,
        "refusals": figures.total([outcome], "refused"),
        "refused_by_rule": by_others["refused_by_rule"],        # by honest neighbors, as what follows
        "verdicts": {name: by_others[name] for name in ("kept", "clipped", "refused")},
        "gain_over_twin": next((row.gain for row in reversed(outcome.rows) if row.gain is not None), None),
        "isolated": bool(outcome.rows and outcome.rows[-1].isolated),
        "exit_code": outcome.exit_code,
        "missing": outcome.missing,
    }


def _missing(outcome: Outcome) -> Tables:
    return {
        "number": outcome.peer.number,
        "honest": outcome.peer.liar is None,
        "why": outcome.missing,
        "removed": outcome.removed,             # the scenario wanted it: not counted against missing_max
        "last_words": list(outcome.last_words),
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; a number that is none becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
