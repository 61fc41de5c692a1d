"""For all rooms: Hypothesis without a clock, because a first import or a busy machine is no failure of a law."""

from hypothesis import settings

settings.register_profile("gossipfl", deadline=None)
settings.load_profile("gossipfl")
