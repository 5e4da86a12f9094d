"""The rate of the ciphers alone, in this process: what no service around them can exceed."""

import time
from collections.abc import Callable
from typing import Final

from hsm import primitives
from hsm.bench.workload import Terminal, terminals

_BATCH: Final = 16


def ca_per_s(seconds: float) -> float:
    """PIN translation, format 0 to 0, with remembered cipher contexts."""

    def once(terminal: Terminal) -> None:
        clear = primitives.ecb_decrypt(terminal.tpk, terminal.pin_block)
        pin = primitives.pin_from_block_0(clear, terminal.account)
        primitives.ecb_encrypt(terminal.zpk, primitives.pin_block_0(pin, terminal.account))

    return _per_s(once, seconds)


def m6_per_s(seconds: float) -> float:
    """X9.19 over 300 bytes."""

    def once(terminal: Terminal) -> None:
        primitives.retail_mac(terminal.tak, primitives.pad(terminal.message, 1))

    return _per_s(once, seconds)


def _per_s(once: Callable[[Terminal], None], seconds: float) -> float:
    all_terminals = terminals()
    count = 0
    began = time.perf_counter()
    deadline = began + seconds
    while time.perf_counter() < deadline:
        for _ in range(_BATCH):
            for terminal in all_terminals:
                once(terminal)
        count += _BATCH * len(all_terminals)
    return count / (time.perf_counter() - began)
