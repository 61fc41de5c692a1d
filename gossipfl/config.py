"""Every option of a node: frozen, keyword only, with unit and bound in the name and its origin beside the number.

TOML comes in through `load`, and what cannot be honoured goes out as ConfigError with the path of the offending key.
The scenario file has a format of its own (scenario/spec.py) that is made of these sections.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, dataclass_transform

import msgspec

from gossipfl.errors import ConfigError, meant

if TYPE_CHECKING:
    from msgspec import inspect

KIB = 1024
MIB = 1024 * KIB

Section = TypeVar("Section", bound=msgspec.Struct)
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Amount = Annotated[float, msgspec.Meta(ge=0.0)]          # seconds, rates, ratios; never nan
AboveZero = Annotated[float, msgspec.Meta(gt=0.0)]
Decay = Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)]   # what is left of something after each step

_BOUNDS = {">=": "at least", ">": "above", "<=": "at most", "<": "below"}


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of a configuration file; an unknown key is an error."""


class ModelConfig(Options):
    """What is trained.  Part of the federation: every peer holds the same vector of parameters."""

    name: Literal["softmax", "mlp", "cnn", "custom"] = "mlp"
    inputs: tuple[Positive, ...] = (64,)        # shape of one example without the batch axis: (64,) or (28, 28, 1)
    hidden: tuple[Positive, ...] = (64,)        # widths of an mlp's hidden layers; channels, then dense width, of a cnn
    classes: Positive = 10
    learner: str = ""                           # custom: "package.module:factory", see learning/learner.py

    def __post_init__(self) -> None:
        if self.name != "cnn":
            return
        if len(self.inputs) != 3 or len(self.hidden) < 2:
            raise ValueError("a cnn needs inputs = [height, width, channels] and hidden = [channels, ..., width]")
        poolings = len(self.hidden) - 1                          # each halves height and width
        if min(self.inputs[:2]) >> poolings == 0:
            raise ValueError(f"{poolings} poolings leave nothing of {list(self.inputs)}: take fewer hidden widths")


class TrainingConfig(Options):
    """The local steps of one round.  A peer's own choice."""

    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: AboveZero = 0.05             # digits, dirichlet 0.5, on held-out training examples: 0.937 after ten
                                                # rounds, against 0.929 for 0.1 and one epoch; adam wants about 0.01
    momentum: Decay = 0.9                       # sgd only; carried over rounds: 0.953 against 0.934 when reset
    batch_size: Positive = 32
    epochs: Positive = 2                        # passes over the own examples per round
    steps_max: Count = 0                        # bound on local steps per round, 0 = none


class DataConfig(Options):
    """Which examples are mine.  With split = "none" the whole source belongs to this peer."""

    source: str = "digits"                      # digits, mnist, or a path: folder of IDX files, .npz, .csv
    label: str = "label"                        # csv: the column that holds the class
    split: Literal["none", "iid", "dirichlet", "shards", "by_class", "minority", "quantity"] = "none"
    alpha: AboveZero = 0.5                      # dirichlet: small is skewed; quantity: the same over sizes
    shards_per_peer: Positive = 2               # shards: McMahan et al. 2017, section 3
    classes_per_peer: Positive = 2              # by_class; minority: how many the last peer alone has
    peers: Positive = 1                         # into how many parts the source is split ...
    part: Count = 0                             # ... and which of them is mine
    seed: int = 0                               # of the split
    examples_min: Positive = 8                  # per peer; a split that cannot give it is refused
    test_fraction: Amount = 0.2                 # held out where the source brings no test set of its own


class OverlayConfig(Options):
    """Who averages with whom."""

    kind: Literal["auto", "static"] = "auto"
    neighbors: tuple[str, ...] = ()             # static: peer IDs
    mesh_peers_max: Count = 8                   # auto: everyone is a neighbor while the federation is this small
    degree: Positive = 6                        # auto, above that; random 6-regular graphs of 64 to 256 peers shrink
                                                # disagreement 1000-fold in about 25 rounds
    degree_slack: Count = 2                     # neighbors accepted beyond `degree`, so that a newcomer finds a place
    dialed_min: Count = 2                       # of my neighbors, chosen by me: an eclipse needs more than calling me
    rewire_rounds: Count = 10                   # one random neighbor is exchanged this often; 0 = never


class AggregationConfig(Options):
    """How neighbors' models enter mine."""

    rule: str = "mean"                          # a key of aggregation.RULES, or "auto": what the graph can carry
    pre: tuple[str, ...] = ()                   # keys of aggregation.PRE, done before a set rule, in this order
    byzantine_max: Count = 0                    # liars among the neighbors that the rule must withstand
    clip_radius: Amount = 1.0                   # clipping: tau of He et al. 2022, in parameter units; 0: each peer
                                                # measures its own, half the typical distance of the first rounds
    clip_decay: Share = 1.0                     # clipping: tau is multiplied by this from round to round
    bucket_size: Positive = 2                   # bucketing: s of Karimireddy et al. 2022, who recommend 2
    self_weight: Share = 0.5                    # ubar, balance: alpha, how much of me stays; both papers' value
    gamma: Share = 1.0                          # step towards the correction; below 1 for coarse codecs (CHOCO-SGD)
    distance_ratio_max: Amount = 1e3            # screened out: farther from me than this times (1 + my own norm)
    alone_every: Count = 0                      # rounds between two of my twin that learns alone; 0 = there is no twin
    harm_rounds: Positive = 5                   # guess; comparisons in a row in which the twin must win ...
    on_harm: Literal["warn", "isolate"] = "warn"    # ... before this happens

    def __post_init__(self) -> None:
        if self.on_harm == "isolate" and not self.alone_every:
            raise ValueError('on_harm = "isolate" needs a twin to go by: set alone_every, 1 for every round')
        if len(set(self.pre)) < len(self.pre):
            raise ValueError(f"pre does the same twice: {', '.join(self.pre)}")


class RoundConfig(Options):
    """When a round begins, how long it waits and when all is done."""

    mode: Literal["asynchronous", "synchronous"] = "asynchronous"
    rounds: Count = 0                           # 0 = until stopped
    interval_s: Amount = 0.01                   # from one round's beginning to the next; faster ones would only flood
    start_neighbors: Count = 1                  # the first round waits for so many neighbors, a later start for one ...
    start_wait_s: Amount = 60.0                 # ... and no longer than this
    deadline_s: Amount = 30.0                   # longest wait for neighbors in any round
    patience: Amount = 4.0                      # asynchronous: a neighbor may take so many times my own turnaround ...
    grace_s: Amount = 0.25                      # ... or this, whichever is longer, before I go on without it
    staleness_rounds_max: Count = 8             # guess; my rounds since its newest model, older ones are refused
    evaluate_every: Positive = 1                # rounds
    checkpoint_every: Positive = 1              # rounds
    linger_s: Amount = 20.0                     # after my last round I serve neighbors at most this long


class LimitsConfig(Options):
    """What one peer, or all together, may claim of this machine.  Each bound has a test that exceeds it."""

    handshakes_max: Positive = 32               # connections not yet authenticated
    handshakes_per_host_max: Positive = 16      # the same from one address
    handshake_s: Amount = 10.0                  # from accept to the end of the handshake
    links_max: Positive = 64
    send_queue_bytes_max: Positive = 4 * MIB    # control frames waiting for one slow link
    requests_max: Positive = 1024               # of chunks, waiting on one link: guess, windows need about 8
    control_bytes_max: Positive = 60 * KIB      # one control message
    control_rate_per_s: Amount = 1000.0         # control messages of one peer (two or three a round), a bucket of ...
    control_burst: Positive = 4000              # ... this depth
    update_bytes_max: Positive = 512 * MIB      # one delta or snapshot
    receive_bytes_max: Positive = 256 * MIB     # reserved for downloads, all peers together
    window_bytes: Positive = 8 * MIB            # requested and not yet received, per peer
    download_bytes_per_s_min: Positive = 16 * KIB       # a payload that comes more slowly is given up
    published_max: Positive = 3                 # own payloads kept for slower neighbors
    pending_updates_max: Positive = 2           # updates of one neighbor that wait for my next mixing
    directory_records_max: Positive = 4096
    record_bytes_max: Positive = 4 * KIB
    record_life_s: AboveZero = 172_800.0        # guess; 2 days: of a peer that is silent
    candidates_max: Positive = 256              # addresses heard by mDNS whose owner is unproven
    dials_per_s: AboveZero = 20.0
    dial_backoff_s: Amount = 1.0                # doubles per failure, with jitter ...
    dial_backoff_max_s: Amount = 60.0           # ... up to this
    strikes_max: Positive = 3                   # broken protocol rules before a ban
    ban_s: Amount = 600.0


class LivenessConfig(Options):
    """When a link is called dead.  Own lateness stretches all of these (Lifeguard, Dadgar et al. 2018)."""

    ping_idle_s: Amount = 5.0
    dead_s: Amount = 20.0
    gossip_s: Amount = 30.0                     # anti-entropy with one random linked peer
    heal_s: Amount = 60.0                       # one silent directory entry is dialed again
    idle_link_s: Amount = 60.0                  # a link to no neighbor is closed after this


class DiscoveryConfig(Options):
    """How peers are found.  Any one way suffices."""

    mdns: bool = True
    interfaces: tuple[str, ...] = ()            # addresses mDNS speaks on; empty = all
    peers: tuple[str, ...] = ()                 # PEERID@host:port or host:port
    interfaces_poll_s: Amount = 15.0            # how soon a new or returned interface is noticed


class NodeConfig(Options):
    """One peer: everything but its key and its federation."""

    listen: str = "0.0.0.0:0"                   # host:port; port 0 = any free one
    announce: tuple[str, ...] = ()              # addresses told to others; empty = those of the interfaces
    status: str = "127.0.0.1:0"                 # loopback only; "" = none
    data: DataConfig = DataConfig()
    training: TrainingConfig = TrainingConfig()
    overlay: OverlayConfig = OverlayConfig()
    aggregation: AggregationConfig = AggregationConfig()
    round: RoundConfig = RoundConfig()
    limits: LimitsConfig = LimitsConfig()
    liveness: LivenessConfig = LivenessConfig()
    discovery: DiscoveryConfig = DiscoveryConfig()


def load(path: Path, section: type[Section]) -> Section:
    """The section that a TOML file holds.  Raises ConfigError naming the file and the key."""
    return parse(read_toml(path), section, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.  Raises ConfigError if it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def parse(tables: Any, section: type[Section], where: str) -> Section:
    """`tables` as a section, strictly: unknown keys and wrong types raise ConfigError with their path."""
    try:
        return msgspec.convert(tables, section, strict=True)
    except msgspec.ValidationError as error:
        reason, _, location = str(error).partition(" - at `$")
        path = location.rstrip("`").lstrip(".")
        reason, path = _explained(reason, path, section, tables)
        raise ConfigError(f"{reason[:1].lower()}{reason[1:]} ({where})", path) from None


def _explained(reason: str, path: str, section: type[msgspec.Struct], tables: Any) -> tuple[str, str]:
    """What msgspec says, and where, with what it leaves out: the value, the choices, and the key that was meant."""
    from msgspec import inspect

    kinds, value = _kinds(inspect.type_info(section)), tables
    for step in re.findall(r"[^.\[\]]+", path):
        kinds = [inner for kind in kinds for inner in _inside(kind, step)]
        value = value[int(step) if isinstance(value, list | tuple) else step]
    if bound := re.fullmatch(r"Expected `(?:int|float)` (>=|>|<=|<) (\S+)", reason):
        return f"must be {_BOUNDS[bound[1]]} {float(bound[2]):g}, is {value}", path
    if reason == "Expected `array` of length >= 1":
        return "must not be empty", path
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", reason):
        keys = [field.encode_name for kind in kinds if isinstance(kind, inspect.StructType) for field in kind.fields]
        return f"unknown key; {meant(unknown[1], keys)}", f"{path}.{unknown[1]}".lstrip(".")
    if wrong := re.fullmatch(r"Invalid enum value (.*)", reason):
        choices = ["a number"] if any(isinstance(kind, inspect.FloatType | inspect.IntType) for kind in kinds) else []
        choices += [str(value) for kind in kinds if isinstance(kind, inspect.LiteralType) for value in kind.values]
        return f"cannot be {wrong[1]}: choose {' or '.join(filter(None, [', '.join(choices[:-1]), choices[-1]]))}", path
    return reason, path


def _kinds(kind: inspect.Type) -> list[inspect.Type]:
    """The alternatives of a type."""
    from msgspec import inspect

    return list(kind.types) if isinstance(kind, inspect.UnionType) else [kind]


def _inside(kind: inspect.Type, step: str) -> list[inspect.Type]:
    """What may stand under a key or number."""
    from msgspec import inspect

    match kind:
        case inspect.StructType():
            return [inner for field in kind.fields if field.encode_name == step for inner in _kinds(field.type)]
        case inspect.VarTupleType():
            return _kinds(kind.item_type)
        case inspect.TupleType():
            return _kinds(kind.item_types[int(step)])
    return []


def to_tables(section: msgspec.Struct) -> dict[str, Any]:
    """The plain tables of a section, for writing TOML or JSON."""
    tables = msgspec.to_builtins(section)
    assert isinstance(tables, dict)
    return tables


def to_toml(tables: dict[str, Any], prefix: str = "") -> str:
    """Tables of strings, numbers, booleans and lists of those, as TOML (the standard library only reads it)."""
    plain = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        if isinstance(value, dict):
            lines += ["", f"[{prefix}{key}]", to_toml(value, f"{prefix}{key}.").rstrip("\n")]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for one character that only JSON allows bare.
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else repr(value)
