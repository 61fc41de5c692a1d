"""A user's own examples: .npz with arrays x and y, or .csv with a header and a label column.

NumPy reads them at its own speed; only when it stumbles does a slow second pass look for the line and the column to
name.  Nothing is ever unpickled.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path

import numpy as np

from gossipfl.errors import DataError
from gossipfl.learning.source import Array, Source


def open_npz(path: Path) -> Source:
    """Arrays x (N, ...) and y (N,), optionally x_test and y_test.  uint8 in x is taken for pixels, see Examples."""
    arrays = _read_npz(path)
    x, y = _pair(arrays, "x", "y", path)
    has_test = "x_test" in arrays or "y_test" in arrays
    test = _pair(arrays, "x_test", "y_test", path) if has_test else None
    return Source(name=str(path), labels=y, rows=lambda rows: x[rows], test=(lambda: test) if test else None)


def open_csv(path: Path, label: str) -> Source:
    """A header, one column named `label`, numbers in all others.  UTF-8, commas, quotes where needed."""
    columns = _header(path)
    if label not in columns:
        raise DataError(f'{path} has no column "{label}"; set data.label to one of: {", ".join(columns)}')
    table = _read_csv(path, columns, label)             # (N, columns) float64, so that whole labels stay whole
    at = columns.index(label)
    return Source(
        name=str(path),
        labels=table[:, at],
        rows=lambda rows: np.delete(table[rows], at, axis=1),
        row_name="line",
        row_first=2,                                    # the header is line 1
        columns=tuple(columns[:at] + columns[at + 1 :]),
    )


def _read_npz(path: Path) -> dict[str, Array]:
    try:
        # Opened here, because NumPy leaves the file open when it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in ("x", "y", "x_test", "y_test") if name in archive.files}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"cannot read {path} ({error}); write it with numpy.savez") from None
    except ValueError:
        raise DataError(f"{path} holds Python objects; save arrays of numbers with numpy.savez") from None


def _pair(arrays: dict[str, Array], x_name: str, y_name: str, path: Path) -> tuple[Array, Array]:
    """Two arrays of numbers that belong together, y as (N,)."""
    for name in (x_name, y_name):
        if name not in arrays:
            raise DataError(f"{path} has no array {name}; write it with numpy.savez(path, {x_name}=..., {y_name}=...)")
        if arrays[name].dtype.kind not in "buif":
            raise DataError(f"{path}: array {name} holds {arrays[name].dtype}, not numbers; convert it first")
    x, y = arrays[x_name], arrays[y_name]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or x.ndim < 2 or len(x) != len(y):
        raise DataError(
            f"{path}: {x_name} has shape {x.shape} and {y_name} {y.shape}; {y_name} must be one class number for each "
            f"row of {x_name}"
        )
    return x, y


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = [name.strip() for name in next(csv.reader(file), [])]
            has_rows = any(line.strip() for line in file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path} as CSV ({error}); save it as UTF-8 with commas") from None
    if not columns or not has_rows:
        raise DataError(f"{path} holds no examples; its first line must name the columns, the others are one each")
    return columns


def _read_csv(path: Path, columns: list[str], label: str) -> Array:
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, comments=None, quotechar='"', encoding="utf-8-sig")
    except ValueError as error:
        raise DataError(f"{path}: {_first_fault(path, columns, label) or error}") from None
    if table.size and table.shape[1] != len(columns):
        raise DataError(f"{path}: the header names {len(columns)} columns, the lines have {table.shape[1]}")
    return table.reshape(-1, len(columns))


def _first_fault(path: Path, columns: list[str], label: str) -> str | None:
    """The first line that NumPy cannot read, in words."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        for row in lines:
            if row and len(row) != len(columns):
                return f"line {lines.line_num} has {len(row)} values, the header names {len(columns)} columns"
            for name, text in zip(columns, row, strict=False):
                if not _is_number(text):
                    place = f'line {lines.line_num}, column "{name}"'
                    remedy = "number the classes from 0" if name == label else "mend it or drop the column"
                    return f'{place} holds "{text}", which is no number; {remedy}'
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
