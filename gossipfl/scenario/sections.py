"""The sections of a scenario file: every key, with its unit, its default and what it means.

Reading a file into them is spec.py, what may not stand together is refused by checks.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from gossipfl import config
from gossipfl.config import AboveZero, Amount, Count, Options, Positive, Share
from gossipfl.scenario.liars import Attack, attack_named

AUTO, EDGES = "auto", "edges"
Seeds = Annotated[tuple[Count, ...], msgspec.Meta(min_length=1)]
Several = Annotated[int, msgspec.Meta(ge=2)]
Speed = Annotated[float, msgspec.Meta(gt=0.0, le=1000.0)]


class ScenarioSection(Options):
    """What the run is called and how long it takes."""

    name: str
    rounds: Positive
    title: str = ""
    seeds: Seeds = (1,)                         # the first is the default, all of them make a benchmark
    engine: Literal["processes", "virtual", "array"] = "processes"
    timeout_s: AboveZero = 300.0                # of real time, from launch to the last peer's end


class PeersSection(Options):
    """How many peers, liars included, and how fast each is."""

    count: Several
    speeds: tuple[Speed, ...] = ()              # of the first peers, the others have 1; 0.1: its local steps take ten
                                                # times as long
    train_s: Amount = 0.0                       # what the local steps of a round take at speed 1, or more if they must;
                                                # 0: processes, as long as they take; virtual, 0.1
    clock_skew_s: Amount = 0.0                  # virtual: clocks are wrong by up to so much, each way


class OverlaySection(Options):
    """Who averages with whom: peers are numbered from 0."""

    kind: str = AUTO                            # auto, edges, or a key of overlay.GRAPHS
    degree: Positive = 6
    edges: tuple[tuple[int, int], ...] = ()     # kind = "edges"
    rewire_rounds: Count = 10                   # auto: one random neighbor is exchanged this often; 0 = never


class CodecSection(Options):
    """How deltas travel."""

    name: str = "float32"


class Timed(Options):
    """Something that begins at a moment and, if it is told when, ends at another.

    A round here is the scenario's: it is finished when half of the running honest peers have finished theirs.
    Seconds count from when all peers that are there from the beginning listen.
    """

    at_round: Count | None = None               # begins when so many rounds are finished ...
    at_s: Amount | None = None                  # ... or after so many seconds
    until_round: Positive | None = None         # ends when so many rounds are finished ...
    for_s: AboveZero | None = None              # ... or so many seconds after it began; neither: never

    @property
    def ends(self) -> bool:
        return self.until_round is not None or self.for_s is not None


class PartitionSection(Timed):
    """A cut through the network.  Connections are not closed: bytes wait, as behind a pulled cable."""

    groups: tuple[tuple[int, ...], ...] = ()    # each hears itself alone; whoever is in none of them is in one more
    one_way: bool = False                       # only what the first group says is not heard by the others


class NetworkSection(Options):
    """How peers find each other, and what stands between them."""

    discovery: Literal["mdns", "addresses"] = "mdns"
    latency_ms: Amount = 0.0                    # one way; between virtual peers at least 0.5, or nothing had an order
    jitter_ms: Amount = 0.0                     # up to so much more, anew for every message
    loss: Share = 0.0                           # of segments; each is sent again, which takes time, as TCP does it
    resets_per_min: Amount = 0.0                # broken connections per link
    bandwidth_mbit: Amount = 0.0                # of one link in each direction; 0 = as fast as the machine
    partitions: tuple[PartitionSection, ...] = ()


class ChurnSection(Timed, kw_only=True):
    """Peers that come and go.

    kill: the process dies at once, as in a crash, and starts again at the end of it; leave: the same, told to its
    neighbors; pause: it stands still for a while; join: it is not there before the moment comes.
    """

    action: Literal["kill", "leave", "pause", "join"]
    count: Count = 0                            # so many honest peers, drawn by the seed ...
    peers: tuple[int, ...] = ()                 # ... or exactly these
    spread_s: Amount = 0.0                      # one after another, evenly over so many seconds


class LiarSection(Options):
    """Peers that attack.  `options` holds the attack's own keys, which in the file stand beside these."""

    attack: str
    count: Count = 0
    peers: tuple[int, ...] = ()                 # or exactly these
    placement: Literal["last", "random", "hubs", "degree", "betweenness", "greedy"] = "last"    # see placement.py
    options: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def number(self) -> int:
        return len(self.peers) or self.count

    def build(self) -> Attack:
        """The attack with its options.  Raises ConfigError for a name or an option that does not exist."""
        return config.parse(self.options, attack_named(self.attack), f"attack {self.attack}")


class ExpectSection(Options):
    """The promise of the scenario, over honest peers; a missed one makes exit code 1.  None promises nothing."""

    accuracy_min: Share | None = None           # of the worst peer
    accuracy_mean: Share | None = None
    accuracy_spread_max: Share | None = None    # farthest peer from the mean
    gain_mean: float | None = None              # mean together minus mean alone, of those that finished
    consensus_distance_max: float | None = None  # root mean square distance of the final models from their mean
    missing_max: int = 0                        # honest peers that did not finish
