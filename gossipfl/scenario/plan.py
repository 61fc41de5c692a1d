"""From a scenario and a seed to peers: who is who, who lies, who averages with whom and under which options.

One seed gives the same identities, liars, edges and parts of the data every time, in every engine.  Refuses what no
engine could keep: promises that the overlay cannot carry, and engines that do not exist yet.  Starts nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import msgspec

from gossipfl import federation
from gossipfl.codec import check_codec
from gossipfl.config import AggregationConfig, DiscoveryConfig, NodeConfig, OverlayConfig
from gossipfl.errors import ConfigError, meant
from gossipfl.federation import Federation
from gossipfl.identity import Identity
from gossipfl.node.choice import AUTO as AUTO_RULE
from gossipfl.node.choice import Choice, in_force
from gossipfl.overlay import GRAPHS, SCHEDULES, Edge, custom, edges
from gossipfl.scenario.checks import check_rule
from gossipfl.scenario.conditions import conditions_of
from gossipfl.scenario.liars import Attack
from gossipfl.scenario.placement import place
from gossipfl.scenario.sections import AUTO, EDGES, LiarSection
from gossipfl.scenario.spec import Scenario
from gossipfl.scenario.standing import judged, outnumbered

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer before it runs."""

    number: int
    identity: Identity
    liar: LiarSection | None                    # None: honest
    neighbors: tuple[int, ...]                  # under a static overlay; empty under auto
    node: NodeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A scenario made concrete by a seed."""

    spec: Scenario
    seed: int
    federation: Federation
    peers: tuple[Peer, ...]
    edges: tuple[Edge, ...] | None              # None: the peers choose them while they run
    neighbors_min: int                          # the smallest degree that an honest peer may count on
    rule: AggregationConfig                     # that the peers mix by: "auto" has become a rule
    choice: Choice                              # what of it may be promised, and why
    warnings: tuple[str, ...] = ()              # what else a user must know before the start

    @property
    def standing(self) -> str:
        return self.choice.standing

    @property
    def why(self) -> str:
        return self.choice.why

    @property
    def told(self) -> list[str]:
        """What is said before the start: nothing, where nobody is expected to lie and nothing was chosen."""
        is_silent = self.standing == "honest" and self.spec.aggregation.rule != AUTO_RULE
        chosen = " + ".join([*self.rule.pre, self.rule.rule])
        picked = f"rule {chosen}, " if self.spec.aggregation.rule == AUTO_RULE else ""
        return [*([] if is_silent else [picked + self.why]), *self.warnings]

    @property
    def honest(self) -> list[Peer]:
        return [peer for peer in self.peers if peer.liar is None]

    @property
    def liars(self) -> list[Peer]:
        return [peer for peer in self.peers if peer.liar is not None]


def make(spec: Scenario, seed: int | None = None, ports: Sequence[int] = ()) -> Plan:
    """The peers of `spec`.  `seed` defaults to the scenario's first; `ports` are those of discovery = "addresses".

    Raises ConfigError for what cannot be kept; nothing has been written then.
    """
    seed = spec.scenario.seeds[0] if seed is None else seed
    _check_engine(spec)
    check_codec(spec.codec.name)
    graph = _edges(spec, seed)
    neighbors = _neighbors(graph, spec.peers.count)
    neighbors_min = _auto_degree(spec, spec.peers.count) if graph is None else min(map(len, neighbors))
    choice = judged(spec.aggregation, spec.peers.count, graph, neighbors_min, seed)
    rule = in_force(spec.aggregation, choice.rule, choice.pre)
    check_rule(rule, neighbors_min, "give each peer more neighbors in [overlay]")
    agreed = _federation(spec, seed)
    identities = [identity_of(seed, number) for number in range(spec.peers.count)]
    liars = _place_liars(spec, seed, graph)
    peers = tuple(
        Peer(
            number=number,
            identity=identities[number],
            liar=liars.get(number),
            neighbors=neighbors[number],
            node=_node(
                spec, _of_liar(rule) if number in liars else rule, seed, number, neighbors[number], identities, ports
            ),
        )
        for number in range(spec.peers.count)
    )
    warning = outnumbered(_hearers(neighbors, graph, neighbors_min), liars, spec.aggregation.byzantine_max)
    return Plan(
        spec=spec, seed=seed, federation=agreed, peers=peers, edges=graph, neighbors_min=neighbors_min, rule=rule,
        choice=choice, warnings=() if warning is None else (warning,),
    )  # fmt: skip


def _federation(spec: Scenario, seed: int) -> Federation:
    """New for each run of real daemons, because two runs at a time share one LAN; the seed's own in a simulated one."""
    agreed = federation.new(spec.scenario.name, model=spec.model, codec=spec.codec.name, seed=seed)
    if spec.scenario.engine == "processes":
        return agreed
    drawn = hashlib.sha256(f"gossipfl/1/federation/{spec.scenario.name}/{seed}".encode()).hexdigest()
    return msgspec.structs.replace(agreed, id=drawn[:32], key="")


def identity_of(seed: int, number: int) -> Identity:
    """The key of peer `number`, the same for one seed every time.  Good enough for a scenario, never for a daemon."""
    return Identity.from_seed(hashlib.sha256(f"gossipfl/1/scenario/{seed}/{number}".encode()).digest())


def speed_of(spec: Scenario, number: int) -> float:
    """How fast peer `number` trains; 1 is as fast as the machine."""
    return spec.peers.speeds[number] if number < len(spec.peers.speeds) else 1.0


def starting_without(plan: Plan, absent: Collection[int]) -> Plan:
    """`plan` for a beginning without the peers `absent`: nobody's first round waits for them.

    They themselves, whenever they come, begin as soon as they have found somebody.
    """
    if not absent:
        return plan
    present = plan.spec.peers.count - len(absent)

    def start_neighbors(peer: Peer) -> int:
        if peer.number in absent:
            return 1
        if plan.edges is None:
            return _auto_start(plan.spec, present)
        return len(set(peer.neighbors).difference(absent))

    peers = tuple(
        replace(peer, node=msgspec.structs.replace(
            peer.node, round=msgspec.structs.replace(peer.node.round, start_neighbors=start_neighbors(peer))))
        for peer in plan.peers
    )  # fmt: skip
    return replace(plan, peers=peers)


def attack_of(peer: Peer) -> Attack | None:
    """What a liar does, None for an honest peer."""
    return None if peer.liar is None else peer.liar.build()


def _check_engine(spec: Scenario) -> None:
    """Raises ConfigError for what the engine cannot do."""
    if spec.scenario.engine == "array":
        raise ConfigError('"array" is not yet available: use "processes" or "virtual"', "scenario.engine")
    if spec.scenario.engine == "virtual":
        return
    if spec.peers.clock_skew_s:
        raise ConfigError('real daemons share the clock of this machine; use engine = "virtual"', "peers.clock_skew_s")
    if is_relayed(spec) and spec.network.discovery == "mdns":
        raise ConfigError(
            "mDNS would lead real daemons past the relay that slows, breaks or cuts their links: "
            'set network.discovery = "addresses", or use engine = "virtual"', "network.discovery",
        )  # fmt: skip


def is_relayed(spec: Scenario) -> bool:
    """Must real daemons talk through a relay, because the network between them is to be worse than loopback?"""
    return bool(spec.network.partitions) or not conditions_of(spec.network).are_ideal


def _edges(spec: Scenario, seed: int) -> tuple[Edge, ...] | None:
    """The edges that the scenario names, None where peers choose their own.  Raises ConfigError."""
    overlay, count = spec.overlay, spec.peers.count
    if overlay.edges and overlay.kind != EDGES:
        raise ConfigError(f'are read only with kind = "{EDGES}"', "overlay.edges")
    if overlay.kind == AUTO:
        return None
    if overlay.kind == EDGES:
        return tuple(custom(overlay.edges, count))
    if overlay.kind in SCHEDULES:
        raise ConfigError(
            f"{overlay.kind} changes its edges every round, which these engines do not do: "
            'use "exponential", which has them all at once', "overlay.kind",
        )  # fmt: skip
    if overlay.kind not in GRAPHS:
        raise ConfigError(f"no graph {overlay.kind!r}; {meant(overlay.kind, [AUTO, EDGES, *GRAPHS])}", "overlay.kind")
    return tuple(edges(overlay.kind, count, degree=overlay.degree, seed=seed))


def _neighbors(edges: Sequence[Edge] | None, count: int) -> list[tuple[int, ...]]:
    """Per peer its neighbors, ascending; nobody's under an overlay that the peers make themselves."""
    found: list[set[int]] = [set() for _ in range(count)]
    for a, b in edges or ():
        found[a].add(b)
        found[b].add(a)
    return [tuple(sorted(neighbors)) for neighbors in found]


def _of_liar(rule: AggregationConfig) -> AggregationConfig:
    """Without a twin: a liar that had one would isolate itself from those whom it harms."""
    return msgspec.structs.replace(rule, alone_every=0, on_harm="warn")


def _hearers(
    neighbors: Sequence[tuple[int, ...]], graph: Sequence[Edge] | None, degree: int
) -> Sequence[Sequence[int]]:
    """Whom each peer will hear; nobody where that is not known beforehand."""
    count = len(neighbors)
    if graph is not None or degree < count - 1:
        return neighbors
    return [[other for other in range(count) if other != peer] for peer in range(count)]


def _auto_degree(spec: Scenario, count: int) -> int:
    """Neighbors of each of `count` peers once the overlay has formed: everyone while that is few, else the degree."""
    others = count - 1
    return others if others < OverlayConfig().mesh_peers_max else min(spec.overlay.degree, others)


def _auto_start(spec: Scenario, count: int) -> int:
    """Neighbors to wait for before round 0: everyone in a small federation.

    In a larger one the last to come finds peers that have enough, and may have to begin with fewer than the degree.
    """
    degree = _auto_degree(spec, count)
    return degree if degree == count - 1 else max(1, degree - OverlayConfig().degree_slack)


def _place_liars(spec: Scenario, seed: int, graph: Sequence[Edge] | None) -> dict[int, LiarSection]:
    """Who lies.  Peers named by number come first, the others fill what is left by their placement."""
    placed = {number: liar for liar in spec.liar for number in liar.peers}
    dice = random.Random(f"gossipfl/1/liars/{seed}")
    for section in spec.liar:
        free = [number for number in range(spec.peers.count) if number not in placed]
        chosen = place(section.placement, free, section.count, spec.peers.count, graph, dice)
        placed.update(dict.fromkeys(chosen, section))
    return placed


def _node(
    spec: Scenario,
    rule: AggregationConfig,
    seed: int,
    number: int,
    neighbors: tuple[int, ...],
    identities: Sequence[Identity],
    ports: Sequence[int],
) -> NodeConfig:
    """The options of one daemon.  It listens on loopback only, and round 0 waits for its neighbors."""
    is_auto = spec.overlay.kind == AUTO
    known = range(spec.peers.count) if is_auto else neighbors
    addresses = tuple(f"{identities[i].peer_id}@{LOOPBACK}:{ports[i]}" for i in known if ports and i != number)
    auto = OverlayConfig(degree=spec.overlay.degree, rewire_rounds=spec.overlay.rewire_rounds)
    static = OverlayConfig(kind="static", neighbors=tuple(str(identities[i].peer_id) for i in neighbors))
    return NodeConfig(
        listen=f"{LOOPBACK}:{ports[number] if ports else 0}",
        data=msgspec.structs.replace(spec.data, peers=spec.peers.count, part=number, seed=seed),
        training=spec.training,
        overlay=auto if is_auto else static,
        aggregation=rule,
        round=msgspec.structs.replace(
            spec.round,
            rounds=spec.scenario.rounds,
            start_neighbors=_auto_start(spec, spec.peers.count) if is_auto else len(neighbors),
        ),
        liveness=spec.liveness,
        discovery=DiscoveryConfig(mdns=not ports, interfaces=(LOOPBACK,), peers=addresses),
    )
