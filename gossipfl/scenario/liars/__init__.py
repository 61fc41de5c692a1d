"""The attacks: what a liar does instead of honest work.

An attack is one class derived from Attack, one line in ATTACKS and one test.  attack.py says what can be replaced and
what a liar sees, witness.py shows what it made up, search.py finds how strong to be.  learning.py lies crudely about
models and examples, crafted.py hides among honest models, backdoor.py poisons with a purpose; updates.py lies about
what was published, timing.py about when, chunks.py about the bytes behind it.  Who lies is decided in plan.py and
placement.py; the process that runs a liar is staged_node.py.
"""

from __future__ import annotations

from gossipfl.errors import ConfigError, meant
from gossipfl.scenario.liars.attack import Attack, Knock, Sight
from gossipfl.scenario.liars.backdoor import Backdoor, ModelReplacement
from gossipfl.scenario.liars.chunks import NeverServe, SlowLoris, Unsolicited
from gossipfl.scenario.liars.crafted import Alie, Dissensus, Ipm, Mimic, MinMax, MinSum, Spectral, Sybil
from gossipfl.scenario.liars.learning import BitFlip, FixedBias, FreeRider, Gaussian, LabelFlip, SignFlip, Stale
from gossipfl.scenario.liars.timing import Silent
from gossipfl.scenario.liars.updates import Equivocate, Nan, Oversize, Replay

ATTACKS: dict[str, type[Attack]] = {
    "alie": Alie,
    "backdoor": Backdoor,
    "bit_flip": BitFlip,
    "dissensus": Dissensus,
    "equivocate": Equivocate,
    "fixed_bias": FixedBias,
    "free_rider": FreeRider,
    "gaussian": Gaussian,
    "ipm": Ipm,
    "label_flip": LabelFlip,
    "mimic": Mimic,
    "min_max": MinMax,
    "min_sum": MinSum,
    "model_replacement": ModelReplacement,
    "nan": Nan,
    "never_serve": NeverServe,
    "oversize": Oversize,
    "replay": Replay,
    "sign_flip": SignFlip,
    "silent": Silent,
    "slow_loris": SlowLoris,
    "spectral": Spectral,
    "stale": Stale,
    "sybil": Sybil,
    "unsolicited": Unsolicited,
}


def attack_named(name: str) -> type[Attack]:
    """The attack called `name`.  Raises ConfigError naming those that exist."""
    if name not in ATTACKS:
        raise ConfigError(f"there is no attack {name!r}; {meant(name, sorted(ATTACKS))}", "attack")
    return ATTACKS[name]


__all__ = ["ATTACKS", "Attack", "Knock", "Sight", "attack_named"]
