"""Public test vectors, where $GOSSIPFL_VECTORS says they are."""

import json
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors():
    """Load one vector file by name; skips where there are none."""

    def load(name):
        folder = os.environ.get("GOSSIPFL_VECTORS")
        if not folder:
            pytest.skip("GOSSIPFL_VECTORS does not say where the public test vectors are")
        return json.loads((Path(folder) / name).read_text())

    return load
