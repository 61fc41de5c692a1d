"""The scenario file: one TOML that says who learns what with whom, and what must come of it.

Refuses what cannot be honored, before anything is written or started.  The keys are in sections.py and, so that a
scenario and a daemon mean the same by the same word, in gossipfl/config.py.  Ignores keys, addresses and processes:
plan.py turns a scenario into peers, faults.py what goes wrong into moments, the engines run them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from gossipfl import config
from gossipfl.config import (
    AggregationConfig,
    DataConfig,
    LivenessConfig,
    ModelConfig,
    Options,
    RoundConfig,
    TrainingConfig,
)
from gossipfl.errors import ConfigError
from gossipfl.scenario.checks import check_faults
from gossipfl.scenario.sections import (
    ChurnSection,
    CodecSection,
    ExpectSection,
    LiarSection,
    NetworkSection,
    OverlaySection,
    PeersSection,
    ScenarioSection,
)

_LIAR_KEYS = ("count", "peers", "attack", "placement", "options")


class Scenario(Options):
    """A whole file."""

    scenario: ScenarioSection
    peers: PeersSection
    data: DataConfig = DataConfig(split="iid")
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    overlay: OverlaySection = OverlaySection()
    aggregation: AggregationConfig = AggregationConfig()
    codec: CodecSection = CodecSection()
    round: RoundConfig = RoundConfig()
    liveness: LivenessConfig = LivenessConfig()
    network: NetworkSection = NetworkSection()
    liar: tuple[LiarSection, ...] = ()
    churn: tuple[ChurnSection, ...] = ()        # [churn] for one, [[churn]] for several
    expect: ExpectSection = ExpectSection()

    @property
    def liars(self) -> int:
        """How many of the peers lie."""
        return sum(liar.number for liar in self.liar)


def load(path: Path, overrides: tuple[str, ...] = ()) -> Scenario:
    """The scenario in `path` with ``section.key=value`` overrides.  Raises ConfigError naming the key."""
    tables = config.read_toml(path)
    for override in overrides:
        set_key(tables, override)
    try:
        return parse(tables, path.name)
    except ConfigError as error:
        raise _blamed(error, path.name, overrides) from None


def _blamed(error: ConfigError, file: str, overrides: tuple[str, ...]) -> ConfigError:
    """The mistake of an override is not the file's."""
    place = error.path.replace("[", ".").replace("]", "")
    for override in reversed(overrides):
        key = override.partition("=")[0].strip()
        is_new = error.reason.startswith("unknown key") and f"{key}.".startswith(f"{place}.")
        if is_new or f"{place}.".startswith(f"{key}."):
            return ConfigError(f"{error.reason.removesuffix(f' ({file})')} (--set {override})", error.path)
    return error


def parse(tables: dict[str, Any], where: str) -> Scenario:
    """The scenario that `tables` hold, checked as far as that goes without looking at the data."""
    tables = dict(tables)
    _refuse_owned(tables)
    if isinstance(tables.get("liar"), list):
        tables["liar"] = [_fold_options(liar) for liar in tables["liar"]]
    if isinstance(tables.get("churn"), dict):
        tables["churn"] = [tables["churn"]]
    if isinstance(tables.get("data", {}), dict):
        tables["data"] = {"split": "iid", **tables.get("data", {})}
    spec = config.parse(tables, Scenario, where)
    _check_liars(spec)
    check_faults(spec.peers, spec.network.partitions, spec.churn)
    return spec


def set_key(tables: dict[str, Any], override: str) -> None:
    """Apply one ``aggregation.rule=mean``, ``liar.0.scale=4`` or ``churn=[]`` in place.

    The value is TOML, or else a string.
    """
    path, separator, text = override.partition("=")
    *parents, last = path.strip().split(".")
    is_whole = isinstance(_toml_value(text.strip()), list)       # all entries of a section that may be repeated
    if not separator or not last or not (parents or is_whole):
        raise ConfigError(f"{override!r} is no override: write section.key=value, such as aggregation.rule=mean")
    table: Any = tables
    for name in parents:
        table = _step(table, name, path)
    table[_index(table, last, path) if isinstance(table, list) else last] = _toml_value(text.strip())


def _step(table: Any, name: str, path: str) -> Any:
    inner = table[_index(table, name, path)] if isinstance(table, list) else table.setdefault(name, {})
    if not isinstance(inner, dict | list):
        raise ConfigError(f"{name!r} is a value, not a section", path.strip())
    return inner


def _index(table: list[Any], name: str, path: str) -> int:
    if name.isdecimal() and int(name) < len(table):
        return int(name)
    raise ConfigError(f"{name!r} counts one of {len(table)} entries, from 0", path.strip())


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _refuse_owned(tables: dict[str, Any]) -> None:
    """Options of a lone daemon that a scenario decides itself."""
    owned = {"data": ("peers", "part", "seed"), "round": ("rounds", "start_neighbors")}
    for section, keys in owned.items():
        for key in keys:
            if isinstance(tables.get(section), dict) and key in tables[section]:
                raise ConfigError("is set by the scenario itself: leave it out", f"{section}.{key}")


def _fold_options(liar: Any) -> Any:
    """Move an attack's own keys into `options`."""
    if not isinstance(liar, dict):
        return liar
    known = {key: value for key, value in liar.items() if key in _LIAR_KEYS}
    own = {key: value for key, value in liar.items() if key not in _LIAR_KEYS}
    return known | ({"options": own} if own else {})


def _check_liars(spec: Scenario) -> None:
    for number, liar in enumerate(spec.liar):
        try:
            liar.build().check(spec.model.classes)
        except ConfigError as error:
            raise ConfigError(error.reason, f"liar[{number}].{error.path}".rstrip(".")) from None
        if liar.peers and liar.count:
            raise ConfigError(
                f"has both count = {liar.count} and peers: leave one out, or set count = 0", f"liar[{number}]"
            )
        if not liar.number:
            raise ConfigError("needs either count, at least 1, or peers", f"liar[{number}]")
    named = [peer for liar in spec.liar for peer in liar.peers]
    if len(set(named)) < len(named) or not all(0 <= peer < spec.peers.count for peer in named):
        raise ConfigError(f"peers are numbered 0 to {spec.peers.count - 1} and each lies once", "liar")
    if spec.liars >= spec.peers.count:
        raise ConfigError(f"{spec.liars} liars among {spec.peers.count} peers leave nobody honest", "liar")
