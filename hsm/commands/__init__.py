"""What each host command does. A new one: its table in hsm.layouts, its function here."""

from hsm.commands import data, keys, macs, pins, status
from hsm.commands.bench import FUNCTIONS, Bench, Function, Warned

__all__ = ["FUNCTIONS", "Bench", "Function", "Warned", "data", "keys", "macs", "pins", "status"]
