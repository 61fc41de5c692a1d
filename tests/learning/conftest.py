"""The learning room's tests run JAX on the CPU, wherever they run."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
