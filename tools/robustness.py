"""What learning among liars withstands and what it costs, measured: studies beside published figures, and a grid.

    python tools/robustness.py consensus   who agrees under the worst liars, what declaring some costs (no learning)
    python tools/robustness.py server      25 clients, 5 of them liars, one server: published rows beside ours
    python tools/robustness.py dumbbell    two cliques and a bridge, nobody lies: who still learns from the other side
    python tools/robustness.py ring        five honest peers with two liars each: what no rule can certify
    python tools/robustness.py placement   50 peers, 5 liars, placed at random or as badly as can be
    python tools/robustness.py fairness    one honest peer unlike the others
    python tools/robustness.py grid        rules x attacks x graphs x placements x b x splits x seeds, of options

Each writes NAME.csv and NAME.md into --out, grid a heat map per attack besides.  A study goes on where it was stopped:
lines of the CSV that belong to the same settings are not measured again.  Exit code 2: the user's mistake, in one
sentence; 130: interrupted, and what was measured is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from studies import cells

from gossipfl.errors import StateError, UserError

OUT = Path("runs") / "robustness"
STUDIES = ("consensus", "server", "dumbbell", "ring", "placement", "fairness", "grid")
MODELS = {                                   # where there is a choice, the first by default
    "server": ("published", "cnn", "mlp"), "dumbbell": ("mlp", "cnn"), "ring": ("mlp", "cnn"),
    "fairness": ("mlp", "cnn"),
}  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(words)
    study = import_module(f"studies.{options.study}").study(options)
    _make(options.out)
    rows = cells.perform(study, options.out, options.jobs, _merged(options.only))
    told = study.report(rows)
    _write(options.out / f"{study.name}.md", told + "\n")
    for name, picture in study.pictures(rows).items():
        _write(options.out / name, picture)
    print(told)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"cannot make {folder}: {error.strerror}; name another directory with --out") from None


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parsers = parser.add_subparsers(dest="study", required=True, metavar="STUDY")
    for name in STUDIES:
        one = parsers.add_parser(name, description=f"The study {name!r}; what it measures, the general --help tells.")
        one.add_argument("--out", type=Path, default=OUT, metavar="DIR", help="default %(default)s")
        one.add_argument("--jobs", type=_positive, default=1, metavar="N", help="cells measured at a time, default 1")
        one.add_argument("--only", type=_choice, action="append", default=[], metavar="SETTING=VALUE,...",
                         help="measure these cells now, such as attack=ALIE; may be repeated")               # fmt: skip
        one.add_argument("--quick", action="store_true", help="tiny sizes: does it run?  The figures mean nothing")
        if name in MODELS:
            one.add_argument("--model", choices=MODELS[name], default=MODELS[name][0], help="default %(default)s")
        if name == "grid":
            import_module("studies.grid").add_options(one)
    return parser


def _choice(word: str) -> tuple[str, list[str]]:
    name, separator, values = word.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"must be SETTING=VALUE, not {word!r}")
    return name, values.split(",")


def _merged(choices: Sequence[tuple[str, list[str]]]) -> dict[str, list[str]]:
    """Setting -> the values of all its choices: rule=mean and rule=median ask for both."""
    merged: dict[str, list[str]] = {}
    for name, values in choices:
        merged.setdefault(name, []).extend(values)
    return merged


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")        # figures are compared with those of CPUs
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")   # small products: waking threads costs more
    try:
        main()
    except UserError as error:
        sys.exit(print(f"robustness.py: {error}", file=sys.stderr) or 2)
    except KeyboardInterrupt:
        sys.exit(print("robustness.py: interrupted; what was measured is kept", file=sys.stderr) or 130)
