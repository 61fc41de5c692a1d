"""What is refused before anything is written: unknown codecs, rules that lack models, faults that make no sense."""

from __future__ import annotations

from collections.abc import Sequence

from gossipfl.config import AggregationConfig
from gossipfl.errors import ConfigError
from gossipfl.scenario.sections import ChurnSection, PartitionSection, PeersSection, Timed

_TOO_MANY = "aggregation.byzantine_max"


def check_rule(aggregation: AggregationConfig, neighbors: int, remedy: str) -> None:
    """Raises ConfigError if the rule does not exist or compose, lacks a radius, or needs more models than `neighbors`
    and oneself.

    Against f liars a trimmed mean or a median needs n > 2f models; with fewer it would promise what it cannot keep.
    `remedy` says how to come by more neighbors.
    """
    from gossipfl.aggregation import check
    from gossipfl.node.ruling import check_radius

    try:
        check(aggregation.rule, aggregation.pre, aggregation.byzantine_max, neighbors, aggregation.bucket_size)
    except ConfigError as error:
        if error.path != _TOO_MANY:
            raise
        reason = str(error).removeprefix(f"{_TOO_MANY}: ")
        raise ConfigError(f"{reason}: {remedy}, or lower byzantine_max", _TOO_MANY) from None
    check_radius(aggregation)


def check_faults(peers: PeersSection, partitions: Sequence[PartitionSection], churn: Sequence[ChurnSection]) -> None:
    """Raises ConfigError for moments, groups and peers that make no sense."""
    if len(peers.speeds) > peers.count:
        raise ConfigError(f"names {len(peers.speeds)} speeds for {peers.count} peers", "peers.speeds")
    for number, partition in enumerate(partitions):
        path = f"network.partitions[{number}]"
        _check_times(partition, path)
        _check_groups(partition, peers.count, path)
    for number, one in enumerate(churn):
        _check_times(one, f"churn[{number}]")
        _check_churn(one, peers.count, f"churn[{number}]")


def _check_times(timed: Timed, path: str) -> None:
    if (timed.at_round is None) == (timed.at_s is None):
        raise ConfigError("needs either at_round or at_s", path)
    if timed.until_round is not None and timed.for_s is not None:
        raise ConfigError("has until_round and for_s: leave one out", path)
    if timed.until_round is not None and timed.at_round is not None and timed.until_round <= timed.at_round:
        raise ConfigError(f"ends in round {timed.until_round}, which is not after {timed.at_round}", path)


def _check_groups(partition: PartitionSection, count: int, path: str) -> None:
    named = [peer for group in partition.groups for peer in group]
    if not all(partition.groups) or len(set(named)) < len(named) or not all(0 <= peer < count for peer in named):
        raise ConfigError(f"peers are numbered 0 to {count - 1}, each in one group at most; no group is empty", path)
    if len(partition.groups) + (len(named) < count) < 2:
        raise ConfigError("separates nobody: groups = [[0, 1]] cuts peers 0 and 1 off from all others", path)


def _check_churn(churn: ChurnSection, count: int, path: str) -> None:
    if bool(churn.peers) == bool(churn.count):
        raise ConfigError("needs either count, at least 1, or peers", path)
    if len(set(churn.peers)) < len(churn.peers) or not all(0 <= peer < count for peer in churn.peers):
        raise ConfigError(f"peers are numbered 0 to {count - 1}, each once", path)
    if max(len(churn.peers), churn.count) >= count:
        raise ConfigError(f"leaves none of the {count} peers undisturbed", path)
    if churn.action == "pause" and not churn.ends:
        raise ConfigError("a pause needs an end: until_round or for_s", path)
    if churn.action == "join" and churn.ends:
        raise ConfigError("who joins stays: leave until_round and for_s out", path)
