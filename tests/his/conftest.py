"""Fixtures of the hospital's tests."""

import pytest

from tests.his.rig import MemoryNet, World


@pytest.fixture
def net() -> MemoryNet:
    """A network of memory."""
    return MemoryNet()


@pytest.fixture
def world(net: MemoryNet) -> World:
    """A client's surroundings."""
    return World(net)
