"""A heat map as SVG: rules down, circumstances across, the darker the better; each rule's worst case has a frame."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from html import escape

from gossipfl.overlay import ink

_WIDE, _HIGH, _LEFT, _LINE = 74, 30, 190, 15         # a cell, the names beside it (more for long words), a line
_LETTER = 7.5                                        # width of one, at most, in any font that a browser may take
_NOTE = "percent; framed: the worst case of a rule; -: refused, because its promise could not be kept"
_FONT = "font-family='system-ui, sans-serif' font-size='12'"


def picture(title: str, down: Sequence[str], across: Sequence[str], values: Mapping[tuple[str, str], float]) -> str:
    """values: (row, column) -> 0..1, nan where a rule refused; pairs that are missing stay empty."""
    parts = [column.split(" ") for column in across]
    head = 40 + _LINE * max(map(len, parts))
    left = max(_LEFT, *(18 + _LETTER * len(row) for row in down))
    wide = max(_WIDE, *(6 + _LETTER * len(word) for words in parts for word in words))
    width = max(left + wide * len(across) + 10, 20 + _LETTER * len(title))
    note = textwrap.wrap(_NOTE, int((width - 20) / _LETTER))
    body = head + _HIGH * len(down)
    height = body + 15 + _LINE * len(note)
    ground, text = ink.color(".g-paper", "fill"), ink.color(".g-head", "fill")
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:g} {height}' width='{width:g}' "
        f"height='{height}'>",
        f"<title>{escape(title)}</title>", f"<rect width='100%' height='100%' fill='{ground}'/>",
        _text(10, 20, title, text, "font-weight='600'"),
    ]  # fmt: skip
    for x, words in enumerate(parts):
        middle = left + wide * x + wide / 2
        lines += [_text(middle, 40 + _LINE * at, word, text, "text-anchor='middle'") for at, word in enumerate(words)]
    for y, row in enumerate(down):
        top = head + _HIGH * y
        lines.append(_text(left - 8, top + 20, row, text, "text-anchor='end'"))
        found = {column: values[row, column] for column in across if (row, column) in values}
        worst = min((value for value in found.values() if not math.isnan(value)), default=math.nan)
        for x, column in enumerate(across):
            if column in found:
                lines += _cell(left + wide * x, top, wide, found[column], found[column] == worst)
    quiet = ink.color(".g-quiet", "fill")
    lines += [_text(10, body + 20 + _LINE * at, words, quiet, "") for at, words in enumerate(note)]
    return "\n".join([*lines, "</svg>", ""])


def _cell(x: float, y: float, wide: float, value: float, is_worst: bool) -> list[str]:
    told = "-" if math.isnan(value) else f"{100 * value:.1f}"
    strength = 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0) ** 2
    paint, frame = ink.color(".g-body", "fill"), ink.color(".g-liar .g-body", "fill")
    text = ink.color(".g-in", "fill") if strength > 0.45 else ink.color(".g-head", "fill")
    edge = f"stroke='{frame}' stroke-width='3'" if is_worst else f"stroke='{ink.color('.g-edge', 'stroke')}'"
    return [
        f"<rect x='{x + 2:g}' y='{y + 2:g}' width='{wide - 4:g}' height='{_HIGH - 4}' fill='{paint}' "
        f"fill-opacity='{strength:.2f}' {edge}/>",
        _text(x + wide / 2, y + 20, told, text, "text-anchor='middle'"),
    ]


def _text(x: float, y: float, words: str, fill: str, more: str) -> str:
    return f"<text x='{x:g}' y='{y:g}' fill='{fill}' {_FONT} {more}>{escape(words)}</text>"
