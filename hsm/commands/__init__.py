"""What each host command does. A new one: its table in hsm.layouts, its function here."""

from hsm.commands import cards, china, data, keys, legacy, macs, pin_checks, pins, status
from hsm.commands.bench import FUNCTIONS, Bench, Function, Judge, Service, Warned

__all__ = [
    "FUNCTIONS", "Bench", "Function", "Judge", "Service", "Warned", "cards", "china", "data",
    "keys", "legacy", "macs", "pin_checks", "pins", "status",
]  # fmt: skip
