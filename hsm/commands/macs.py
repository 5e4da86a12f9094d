"""M6, M8: message authentication codes over any block cipher; MA, MC, ME, GW, GM beside them."""

import hashlib
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from hsm import primitives, uses
from hsm.commands.bench import Bench, allow, hex_of, performs
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.kinds import Values
from hsm.layouts import macs as tables
from hsm.lmk import HeldKey
from hsm.primitives.dukpt import mac_key
from hsm.profile import MacAlgorithm
from hsm.uses import Use

_TYPES: Final = ("003", "008")
_OPEN_MODES: Final = ("1", "2")
"""First and middle part of a message: more follows."""


@performs(tables.M6)
def make(values: Values, bench: Bench) -> Values:
    """The MAC, cut to its size; for a part of a message the chain to go on with as well."""
    chain = _chain(values, bench, uses.MAC_MAKES)
    return {"chain": chain, "mac": _cut(chain, values)}


@performs(tables.M8)
def check(values: Values, bench: Bench) -> Values:
    """00 or 01. The comparison takes the same time wherever the difference is."""
    chain = _chain(values, bench, uses.MAC_VERIFIES)
    held = bench.held(uses.MAC_VERIFIES.under(values["key_type"]), values["key"], "key")
    if "mac" in values:
        bench.verdict(held.clear, compare_digest(_cut(chain, values), values["mac"]))
    elif held.header is not None and held.header.mode == "V" and not bench.policy.diagnostics:
        # The chain that goes on is a MAC too, and this key may only verify.
        raise CommandError("A8", "key")
    return {"chain": chain}


def _cut(chain: str, values: Values) -> str:
    width = tables.mac_width(values)
    if width > len(chain):
        raise CommandError("15", "mac_size")
    return chain[:width]


def _chain(values: Values, bench: Bench, use: Use) -> str:
    """The last block of the chain: the MAC, or what the next part goes on with."""
    key_type = values["key_type"]
    if key_type not in _TYPES:
        allow(key_type, _TYPES)
    algorithm = bench.policy.profile.mac_algorithms.get(values["algorithm"])
    if algorithm is None:
        raise CommandError("04", "algorithm")
    held = bench.held(use.under(key_type), values["key"], "key")
    made = _ALGORITHMS[algorithm](values, bench, held)
    return hex_of(made)


def _cbc(values: Values, _bench: Bench, held: HeldKey) -> bytes:
    """ISO 9797-1 algorithm 1: the cipher in every step."""
    message = _padded(values, held)
    if held.algorithm in "DT":
        return primitives.cbc_mac(held.clear, message, _iv(values, 8))
    cipher = primitives.BLOCK_CIPHERS[held.algorithm]
    return cipher.cbc_encrypt(held.clear, _iv(values, cipher.unit), message)[-cipher.unit :]


def _x919(values: Values, _bench: Bench, held: HeldKey) -> bytes:
    """ISO 9797-1 algorithm 3."""
    key = held.clear
    if held.algorithm not in "DT":
        raise CommandError("A7", "key")
    if len(key) == primitives.BLOCK:
        raise CommandError("27", "key")
    message, iv = _padded(values, held), _iv(values, 8)
    if values["mode"] in _OPEN_MODES:
        # X9.19 is single DES under the left part until the very last block.
        return primitives.cbc_mac(key[: primitives.BLOCK], message, iv)
    return primitives.retail_mac(key, message, iv)


def _cmac(values: Values, _bench: Bench, held: HeldKey) -> bytes:
    """ISO 9797-1 algorithm 5. It pads by itself: the padding method counts for nothing."""
    cipher = primitives.BLOCK_CIPHERS[held.algorithm]
    message, iv = values["message"], _iv(values, cipher.unit)
    if values["mode"] in _OPEN_MODES:
        _must_be_whole(message, cipher.unit)
        return cipher.cbc_encrypt(held.clear, iv, message)[-cipher.unit :]
    if not message and values["mode"] != "0":
        # Its last block went into the chain as one of many: too late for the mask of the last.
        raise CommandError("80", "message")
    return primitives.cmac_last(cipher, held.clear, message, iv)


def _sm4(values: Values, bench: Bench, held: HeldKey) -> bytes:
    """The bank's own SM4 MAC: block, padding and truncation are settings of the profile."""
    if held.algorithm != "4":
        raise CommandError("A7", "key")
    if values["mode"] != "0":
        raise CommandError("02", "mode")
    knobs = bench.policy.profile.sm4_mac
    message = primitives.pad(values["message"], knobs.padding, primitives.SM4_BLOCK)
    if knobs.block == "folded":
        message = primitives.folded(message, primitives.SM4_BLOCK)
    _must_be_whole(message, primitives.SM4_BLOCK)
    cipher = primitives.BLOCK_CIPHERS["4"]
    made = cipher.cbc_encrypt(held.clear, bytes(cipher.unit), message)
    return made[-cipher.unit :][: knobs.length_bytes]


_ALGORITHMS: Final[dict[MacAlgorithm, Callable[[Values, Bench, HeldKey], bytes]]] = {
    "cbc": _cbc,
    "x919": _x919,
    "cmac": _cmac,
    "sm4": _sm4,
}


def _padded(values: Values, held: HeldKey) -> bytes:
    """The message in whole blocks; parts that more follows must be whole by themselves."""
    unit = 8 if held.algorithm in "DT" else 16
    message: bytes = values["message"]
    method = values["padding"]
    if values["mode"] not in _OPEN_MODES:
        if method == "3" and values["mode"] == "3":
            # The length stands before the first block: it must be known there.
            raise CommandError("09", "padding")
        message = primitives.pad(message, int(method), unit)
    elif method == "3":
        raise CommandError("09", "padding")
    _must_be_whole(message, unit)
    return message


def _must_be_whole(message: bytes, unit: int) -> None:
    if not message or len(message) % unit:
        raise CommandError("80", "message")


def _iv(values: Values, unit: int) -> bytes:
    iv = bytes.fromhex(values["iv"]) if "iv" in values else bytes(unit)
    if len(iv) != unit:
        raise CommandError("15", "iv")
    return iv


# ---- under a TAK, without flags -----------------------------------------------------------------


def _terminal_mac(key: bytes, message: bytes, bench: Bench) -> str:
    """Eight characters: X9.9 under a single-length key, X9.19 under a longer one; some make the
    longer one triple DES in every step."""
    if not message:
        raise CommandError("80", "message")
    message = primitives.pad(message, 1)
    if len(key) == primitives.BLOCK or bench.policy.profile.ma_long_key == "cbc":
        return hex_of(primitives.cbc_mac(key, message))[:8]
    return hex_of(primitives.retail_mac(key, message))[:8]


@performs(tables.MA)
def make_terminal(values: Values, bench: Bench) -> Values:
    """Over all data to the end, zero-padded."""
    tak = bench.key(uses.MAC_MAKES, values["tak"], "tak")
    return {"mac": _terminal_mac(tak, values["message"], bench)}


@performs(tables.MC)
def check_terminal(values: Values, bench: Bench) -> Values:
    """00 or 01."""
    tak = _terminal_verifier(values, bench)
    _judge_terminal(tak, values, bench)
    return {}


@performs(tables.ME)
def remake_terminal(values: Values, bench: Bench) -> Values:
    """What passes under the first key gets a MAC under the second."""
    tak = _terminal_verifier(values, bench)
    target = bench.key(uses.MAC_MAKES, values["target_tak"], "target_tak", "11")
    _judge_terminal(tak, values, bench)
    return {"target_mac": _terminal_mac(target, values["message"], bench)}


def _terminal_verifier(values: Values, bench: Bench) -> bytes:
    return bench.key(uses.MAC_VERIFIES, values["tak"], "tak")


def _judge_terminal(tak: bytes, values: Values, bench: Bench) -> None:
    expected = _terminal_mac(tak, values["message"], bench)
    bench.verdict(tak, compare_digest(expected, values["mac"]))


# ---- DUKPT --------------------------------------------------------------------------------------


@performs(tables.GW)
def dukpt(values: Values, bench: Bench) -> Values:
    """X9.19 under the request's MAC key of this KSN, zero-padded; checked or made."""
    bdk: Cryptogram = values["bdk"]
    checked = "mac" in values
    clear = bench.key(uses.BDK_DERIVES, bdk, "bdk")
    if len(clear) != 2 * primitives.BLOCK:
        raise CommandError("27", "bdk")
    if not values["message"]:
        raise CommandError("81", "message")
    key = mac_key(clear, bytes.fromhex(values["ksn"]))
    made = hex_of(primitives.retail_mac(key, primitives.pad(values["message"], 1)))
    made = made[: tables.dukpt_mac_width(values)]
    if not checked:
        return {"mac": made}
    bench.verdict(clear, compare_digest(made, values["mac"]))
    return {}


# ---- hashes -------------------------------------------------------------------------------------

_HASHES: Final = {"01": "sha1", "02": "md5", "05": "sha224", "06": "sha256", "07": "sha384",
                  "08": "sha512"}  # fmt: skip


@performs(tables.GM)
def digest(values: Values, _bench: Bench) -> Values:
    """The hash, binary."""
    name = _HASHES.get(values["hash"])
    if name is None:
        return {"digest": primitives.sm3(values["data"])}
    return {"digest": hashlib.new(name, values["data"], usedforsecurity=False).digest()}
