"""Where scenarios are found: by path, or by name among those that are shipped."""

from __future__ import annotations

from pathlib import Path

from gossipfl.errors import ConfigError

_HERE = Path(__file__).resolve().parent


def folder() -> Path:
    """The shipped scenarios: beside this file in a wheel, at the root of a checkout."""
    packaged = _HERE / "files"
    return packaged if packaged.is_dir() else _HERE.parent.parent / "scenarios"


def names() -> list[str]:
    """What `find` knows by name."""
    return sorted(path.stem for path in folder().glob("*.toml"))


def find(name: str) -> Path:
    """The file called `name`: a path, or the name of a shipped one.  Raises ConfigError naming those."""
    path = Path(name)
    shipped = folder() / f"{name}.toml"
    if path.suffix == ".toml" and path.is_file():
        return path
    if path.name == name and shipped.is_file():
        return shipped
    raise ConfigError(f"there is no scenario {name!r}: give the path of a .toml file or one of {', '.join(names())}")


def story(path: Path) -> str:
    """What the file in `path` tells of itself."""
    return told(path.read_text(encoding="utf-8"))


def told(text: str) -> str:
    """A file's first comment, which tells what happens in it and how it ends; its lines and their indents are kept."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" ").rstrip())
    return "\n".join(lines).strip()
