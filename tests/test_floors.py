"""The house stands: imports point down, rooms of one floor are strangers, and what takes long waits to be needed.

Read with ast, so that nothing is imported and imports inside functions count as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import gossipfl

ROOT = Path(gossipfl.__file__).parent

FLOORS = (
    ("errors",),
    ("config", "identity"),
    ("federation",),
    ("learning", "codec", "aggregation", "overlay", "wire"),
    ("protocol", "net"),
    ("node",),
    ("scenario",),
    ("cli",),
    ("__main__",),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Bytes, time and randomness come to these rooms as arguments; sockets and threads stay outside.
PURE = ("protocol", "wire")
IMPURE = {
    "asyncio", "concurrent", "datetime", "jax", "jaxlib", "multiprocessing", "optax", "queue", "random", "secrets",
    "select", "selectors", "signal", "socket", "ssl", "subprocess", "threading", "time", "uuid",
}  # fmt: skip

# A command's --help and a daemon's socket would wait for these.
QUICK = ("aggregation", "codec", "overlay", "cli")
HEAVY = {"jax", "jaxlib", "networkx", "optax", "scipy", "sklearn"}


class Import(NamedTuple):
    """One imported module, dotted, and where it stands."""

    module: str
    line: int
    at_import: bool                                      # False inside a function: paid only when called


def imports_of(source: str) -> Iterator[Import]:
    """Every import of a module's source; ``from gossipfl import codec`` counts as gossipfl.codec."""
    tree = ast.parse(source)
    inside = {id(node) for function in _functions(tree) for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; name the room"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (Import(name, node.lineno, id(node) not in inside) for name in names)


def _functions(tree: ast.AST) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]


def offenses(room: str, source: str) -> list[str]:
    """What a module of `room` imports and should not, each in words."""
    return [f"line {i.line}: {room} imports {i.module}: {why}" for i in imports_of(source) for why in _why_not(room, i)]


def _why_not(room: str, found: Import) -> Iterator[str]:
    package, _, rest = found.module.partition(".")
    other = rest.partition(".")[0]
    if package == "gossipfl" and other not in ("", "__version__", room):
        if other not in FLOOR_OF:
            yield "no room of this house; add it to FLOORS"
        elif FLOOR_OF[other] == FLOOR_OF[room]:
            yield "rooms of one floor are strangers"
        elif FLOOR_OF[other] > FLOOR_OF[room]:
            yield "imports point down"
    if room in PURE and package in IMPURE:
        yield "time, randomness and bytes come in as arguments"
    if room in QUICK and found.at_import and package in HEAVY:
        yield "import it inside the function that needs it"


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(ROOT.rglob("*.py")) if path.parent != ROOT or path.stem != "__init__"]


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_a_module_imports_only_what_lies_below_its_room(path: Path) -> None:
    found = offenses(room_of(path), path.read_text(encoding="utf-8"))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("room", "source", "offense"),
    [
        ("codec", "from gossipfl.aggregation import mix", "line 1: codec imports gossipfl.aggregation.mix"),
        ("codec", "from gossipfl import aggregation", "rooms of one floor are strangers"),
        ("wire", "def f():\n    import gossipfl.node.shell", "line 2: wire imports gossipfl.node.shell"),
        ("errors", "from gossipfl.config import MIB", "imports point down"),
        ("node", "from gossipfl.attic import ghost", "no room"),
        ("protocol", "from time import monotonic", "come in as arguments"),
        ("wire", "def f():\n    import secrets", "come in as arguments"),
        ("overlay", "import networkx as nx", "inside the function"),
        ("cli", "class Command:\n    from jax import numpy", "inside the function"),
    ],
)
def test_this_file_notices(room: str, source: str, offense: str) -> None:
    (found,) = offenses(room, source)
    assert offense in found


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("cli", "def show():\n    from gossipfl.scenario import plan\n    import jax"),
        ("node", "import asyncio, time\nfrom gossipfl.protocol.peer import Peer"),
        ("wire", "from gossipfl.wire.chunks import cut\nimport hashlib"),
        ("learning", "import jax\nfrom gossipfl import config"),
    ],
)
def test_this_file_lets_pass_what_is_right(room: str, source: str) -> None:
    assert offenses(room, source) == []


def test_rooms_that_a_command_waits_for_do_not_import_what_takes_long() -> None:
    rooms = "gossipfl.aggregation, gossipfl.codec, gossipfl.overlay, gossipfl.wire.messages, gossipfl.learning.data"
    command = f"import sys, {rooms}; print([name for name in {sorted(HEAVY)} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
