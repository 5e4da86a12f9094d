"""The shell around the payment machine: decide, commit, act (I4)."""

from switch.engine.engine import Engine, Limits, Route

__all__ = ["Engine", "Limits", "Route"]
