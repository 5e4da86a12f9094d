"""The shell around the payment machine: decide, commit, act (I4)."""

from switch.engine.bounds import Limits, Route
from switch.engine.engine import Engine

__all__ = ["Engine", "Limits", "Route"]
