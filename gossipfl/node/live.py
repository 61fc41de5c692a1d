"""The one-screen live view of a node: who I am, how well I do, who I average with, what just happened.

`render` is a pure function of the daemon's view; `show` draws it on a terminal once a second.  Ignores how the view
comes about (node/daemon.py).  Whatever peers wrote is shown as plain text, never read as markup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group
    from rich.table import Table
    from rich.text import Text

REFRESH_S = 1.0
NEIGHBORS_SHOWN_MAX = 16
EVENTS_SHOWN_MAX = 8
SPARKS_MAX = 48                                  # rounds
_SPARE = (("sent", "received"), ("strikes",), ("stale",))    # columns that a narrow screen goes without, in this order
_SPARKS = "▁▂▃▄▅▆▇█"


def render(view: dict[str, Any]) -> Group:
    """The screen of a view (see node/status.py for its pages); anything the view lacks is shown as a dash."""
    from rich.console import Group
    from rich.panel import Panel

    status = view["status"]
    title = f"gossipfl {status['short']} in {status['federation']}"
    return Group(
        Panel(_summary(status), title=_plain(title), title_align="left"),
        _Neighbors(view["peers"]),
        _plain("\n".join(view.get("events", [])[-EVENTS_SHOWN_MAX:])),
    )


async def show(view: Callable[[], dict[str, Any]], console: Console | None = None, every_s: float = REFRESH_S) -> None:
    """Draw `view()` until cancelled, and leave the last screen standing.

    The view is taken on the event loop, where it is true; drawing takes milliseconds and happens in a thread.
    """
    from rich.live import Live

    live = Live(render(view()), console=console, auto_refresh=False)
    with live:
        while True:
            await asyncio.to_thread(live.update, render(view()), refresh=True)
            await asyncio.sleep(every_s)


def sparkline(values: list[float | None]) -> str:
    """One character per value, scaled between the lowest and the highest; a blank where there is none."""
    known = [value for value in values if value is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    top = len(_SPARKS) - 1
    return "".join(
        " " if value is None else _SPARKS[round((value - low) / span * top) if span > 0 else top] for value in values
    )


def amount(count: float | None) -> str:
    """Bytes for human eyes: ``1.5 MB``."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _summary(status: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for label, text in _facts(status):
        table.add_row(_plain(label), _plain(text))
    return table


def _facts(status: dict[str, Any]) -> list[tuple[str, str]]:
    updates, rounds = status.get("updates") or {}, status.get("rounds")
    outcomes = ", ".join(f"{updates.get(key, 0)} {key}" for key in ("expected", "heard", "late", "refused"))
    lag = (status.get("loop_lag_ms") or {}).get("p99")
    return [
        ("training", f"{status.get('model', '-')}, rule {status.get('rule', '-')}"),
        ("round", f"{status.get('round', '-')} of {rounds or 'endless'}, {status.get('phase', '-')}"),
        ("accuracy", f"{_percent(status.get('accuracy'))}  {sparkline(status.get('history', [])[-SPARKS_MAX:])}"),
        ("updates", outcomes),
        *_unmixed(status),
        *_promise(status),
        ("verdicts", _verdicts(status)),
        ("peers", f"{_counted(status, 'neighbor')}, {_counted(status, 'link')}, "
                  f"{status.get('known_peers', 0)} in the directory"),
        ("traffic", f"{amount(status.get('bytes_sent'))} sent, {amount(status.get('bytes_received'))} received"),
        ("machine", f"{_number(status.get('rss_mb'), 'MB')} resident, loop lag {_number(lag, 'ms')} (p99)"),
    ]


def _unmixed(status: dict[str, Any]) -> list[tuple[str, str]]:
    """That nothing was mixed, though all were heard, and why."""
    unmixed = status.get("unmixed") or {}
    if not unmixed.get("rounds"):
        return []
    because = unmixed.get("because")
    now = f"NOT MIXING: {because}" if because else "the newest was"
    return [("not mixed", f"{unmixed['rounds']} of the rounds since the start; {now}")]


def _promise(status: dict[str, Any]) -> list[tuple[str, str]]:
    """What the rule in force is worth on this graph, if anybody is expected to lie."""
    ruling = status.get("ruling") or {}
    why = ruling.get("why")
    return [("promise", str(why))] if why and ruling.get("standing") != "honest" else []


def _verdicts(status: dict[str, Any]) -> str:
    """What my rule concluded of neighbors so far, and what they are worth to me."""
    passed = status.get("verdicts") or {}
    counts = ", ".join(f"{passed.get(name, 0)} {name}" for name in ("kept", "clipped", "refused"))
    alone = status.get("alone")
    if status.get("isolated"):
        return f"{counts}; ISOLATED: my neighbors did harm, nothing is mixed"
    return counts if alone is None else f"{counts}; gain over my twin alone {100 * alone['gain']:+.1f} %"


class _Neighbors:
    """The table of peers, with as many columns as the screen is wide.

    Neighbors first, then other links; a peer known only from the directory is counted, not shown.
    """

    def __init__(self, peers: list[dict[str, Any]]) -> None:
        self._shown = sorted((p for p in peers if p["neighbor"] or p["linked"] or p["banned"]), key=_order)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        table, unbounded = self._table(()), options.update_width(10_000)
        for count in range(1, len(_SPARE) + 1):
            if console.measure(table, options=unbounded).maximum <= options.max_width:
                break
            table = self._table(sum(_SPARE[:count], ()))
        yield table

    def _table(self, without: tuple[str, ...]) -> Table:
        from rich.table import Table

        table = Table(title_justify="left")
        columns = {name: cell for name, cell in _COLUMNS.items() if name not in without}
        for name in columns:
            is_wordy = name in ("state", "verdict")
            justify: Literal["left", "right"] = "left" if is_wordy or name == "peer" else "right"
            table.add_column(name, justify=justify, no_wrap=not is_wordy)
        for peer in self._shown[:NEIGHBORS_SHOWN_MAX]:
            table.add_row(*(_plain(cell(peer)) for cell in columns.values()))
        if len(self._shown) > NEIGHBORS_SHOWN_MAX:
            table.caption = f"and {len(self._shown) - NEIGHBORS_SHOWN_MAX} more"
        return table


def _order(peer: dict[str, Any]) -> tuple[bool, bool, str]:
    return not peer["neighbor"], not peer["linked"], peer["short"]


def _state(peer: dict[str, Any]) -> str:
    if peer["banned"]:
        return "banned"
    role = "neighbor" if peer["neighbor"] else "link"
    if not peer["linked"]:
        return f"{role}, away"
    return f"{role}, dialed" if peer.get("dialed_by_me") else role


def _verdict(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return "-"
    standing = str(verdict["standing"])
    return f"clipped to {verdict['kept']:.2f}" if standing == "clipped" else standing


def _counted(status: dict[str, Any], name: str) -> str:
    count = status.get(f"{name}s", 0)
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:g} {unit}".rstrip() if isinstance(value, int) else f"{value:.1f} {unit}".rstrip()


def _plain(text: str) -> Text:
    from rich.text import Text

    return Text("".join(character if character.isprintable() or character == "\n" else "?" for character in text))


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "peer": lambda peer: str(peer["short"]),
    "state": _state,
    "round": lambda peer: _number(peer.get("round")),
    "stale": lambda peer: _number(peer.get("staleness_rounds")),
    "sent": lambda peer: amount(peer.get("bytes_sent")),
    "received": lambda peer: amount(peer.get("bytes_received")),
    "strikes": lambda peer: _number(peer.get("strikes")),
    "verdict": lambda peer: _verdict(peer.get("verdict")),
    "trust": lambda peer: _share(peer.get("trust")),
}
