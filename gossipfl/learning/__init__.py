"""From private examples to a better vector of parameters.

Start with learner.py for what the rest of the house may ask, then jax_learner.py for how it is done.
A new model is one entry in models.MODELS, a new split one entry in split.SPLITTERS.  JAX is imported by jax_learner.py
and what stands under it, never by this file: a socket should not wait for it.
"""
