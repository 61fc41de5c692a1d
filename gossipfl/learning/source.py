"""What a reader of one format hands to data.py: labels of everything, and rows on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A file, or a family of them, opened far enough to know the labels."""

    name: str                                   # for messages
    labels: Array                               # (N,) as found, not yet validated
    rows: Callable[[Indices], Array]            # ascending indices (m,) -> (m, ...)
    test: Callable[[], tuple[Array, Array]] | None = None   # its own test set x, y, if it brings one
    row_name: str = "row"                       # how a user counts: rows from 0, or the lines of a file
    row_first: int = 0
    columns: tuple[str, ...] = ()

    def place(self, row: int, column: int | None = None) -> str:
        """Where to look, in the words of the user's editor."""
        words = f"{self.row_name} {self.row_first + row}"
        if column is None:
            return words
        return f'{words}, column "{self.columns[column]}"' if self.columns else f"{words}, column {column}"
