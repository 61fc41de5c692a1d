"""The graph that peers average over: who with whom, with which weights, how fast, and against how many liars."""

from gossipfl.overlay.budget import certified_budget, trimmed_mean_budget
from gossipfl.overlay.graphs import GRAPHS, Edge, custom, edges, is_connected
from gossipfl.overlay.spectrum import algebraic_connectivity, rounds_to_shrink, spectral_gap
from gossipfl.overlay.weights import metropolis, mixing_matrix

__all__ = [
    "GRAPHS", "Edge", "algebraic_connectivity", "certified_budget", "custom", "edges", "is_connected", "metropolis",
    "mixing_matrix", "rounds_to_shrink", "spectral_gap", "trimmed_mean_budget",
]  # fmt: skip
