"""What a bench asks: commands over many keys, each with the answer that must come."""

import hashlib
from typing import Final, NamedTuple

from hsm import codec, layouts, primitives
from hsm.codec import Command
from hsm.keys import Cryptogram, parse_cryptogram
from hsm.kinds import Values
from hsm.processor import Processor
from hsm.testing import local_processor, wrap_test_key

TERMINALS: Final = 64
"""As many sets of keys and accounts, asked in turn."""

MESSAGE_BYTES: Final = 300

HEADER_LENGTH: Final = 4
"""Of the frames; a payShield's default."""


_TYPES: Final = {"tpk": "002", "zpk": "001", "tak": "003", "dek": "00B"}


class Exchange(NamedTuple):
    """A request and its one right answer, both with their header and two length bytes."""

    request: bytes
    answer: bytes


class Terminal(NamedTuple):
    """The keys of one terminal, clear and under the test LMK, and a PIN block under its TPK."""

    tpk: bytes
    zpk: bytes
    tak: bytes
    under_lmk: dict[str, Cryptogram]
    account: str
    pin_block: bytes
    message: bytes


def terminals() -> list[Terminal]:
    """The same ones in every run; their keys are no secrets."""
    return [_terminal(number) for number in range(TERMINALS)]


def workloads() -> dict[str, list[Exchange]]:
    """Name → exchanges, one for each terminal (``payment``: three, M8, CA and M6).

    The right answers come from a processor in this process.
    """
    oracle = local_processor(_no_entropy)
    ca = [_exchange(oracle, n, layouts.CA, ca_values(t)) for n, t in enumerate(terminals())]
    m6 = [_exchange(oracle, n, layouts.M6, mac_values(t)) for n, t in enumerate(terminals())]
    payment = []
    for number, terminal in enumerate(terminals()):
        mac = primitives.retail_mac(terminal.tak, primitives.pad(terminal.message, 1))
        asked = {**mac_values(terminal), "mac": mac[:4].hex().upper()}
        payment += [
            _exchange(oracle, 3 * number, layouts.M8, asked),
            _exchange(oracle, 3 * number + 1, layouts.CA, ca_values(terminal)),
            _exchange(oracle, 3 * number + 2, layouts.M6, mac_values(terminal)),
        ]
    return {"ca": ca, "m6": m6, "payment": payment}


def ca_values(terminal: Terminal) -> Values:
    """CA, ISO format 0 to 0."""
    return {
        "tpk": terminal.under_lmk["tpk"],
        "zpk": terminal.under_lmk["zpk"],
        "pin_length_max": "12",
        "pin_block": terminal.pin_block.hex().upper(),
        "source_format": "01",
        "target_format": "01",
        "account": terminal.account,
    }


def mac_values(terminal: Terminal) -> Values:
    """M6, X9.19 over a binary message of 300 bytes, zero padding, 8 characters."""
    return {
        "mode": "0",
        "form": "0",
        "mac_size": "0",
        "algorithm": "3",
        "padding": "1",
        "key_type": "003",
        "key": terminal.under_lmk["tak"],
        "message": terminal.message,
    }


def framed(number: int, body: bytes) -> bytes:
    """A body behind its length and the header ``number``."""
    return (HEADER_LENGTH + len(body)).to_bytes(2, "big") + b"%04d" % (number % 10_000) + body


def _terminal(number: int) -> Terminal:
    def grown(what: str, length: int) -> bytes:
        return hashlib.shake_128(f"bench {what} {number}".encode()).digest(length)

    clear = {name: primitives.odd_parity(grown(name, 16)) for name in _TYPES}
    account = f"{int.from_bytes(grown('account', 8), 'big') % 10**12:012d}"
    pin = f"{int.from_bytes(grown('pin', 8), 'big') % 10**6:06d}"
    block = primitives.pin_block_0(pin, account)
    return Terminal(
        tpk=clear["tpk"],
        zpk=clear["zpk"],
        tak=clear["tak"],
        under_lmk={
            name: parse_cryptogram(wrap_test_key(_TYPES[name], key.hex().upper()))
            for name, key in clear.items()
        },
        account=account,
        pin_block=primitives.ecb_encrypt(clear["tpk"], block),
        message=grown("message", MESSAGE_BYTES),
    )


def _exchange(oracle: Processor, number: int, command: Command, values: Values) -> Exchange:
    request = framed(number, codec.build_request(command, values))
    answer = oracle.answer(request[2:])
    if answer.error != "00":
        raise ValueError(f"{command.code}: the oracle answers {answer.error}")
    return Exchange(request, len(answer.frame).to_bytes(2, "big") + answer.frame)


def _no_entropy(_length: int) -> bytes:
    raise ValueError("these commands need no randomness")
