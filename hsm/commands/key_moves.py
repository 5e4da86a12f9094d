"""What importing and exporting commands share: the ZMK, the key that came, the key that goes."""

from dataclasses import replace
from typing import Final, NamedTuple

from hsm import exchange, keys, primitives, uses
from hsm.block_header import KEY_BYTES, BlockHeader
from hsm.commands.bench import Bench
from hsm.errors import CommandError
from hsm.exchange import Manner
from hsm.keys import BLOCK_TYPE, Cryptogram
from hsm.kinds import Values
from hsm.lmk import HeldKey
from hsm.uses import Use

_DES: Final = "DT"


class Imported(NamedTuple):
    """A key that came in, of odd parity now. ``corrected``: it had not been."""

    clear: bytes
    algorithm: str
    header: BlockHeader | None
    corrected: bool

    def __repr__(self) -> str:
        return f"<imported key {self.algorithm}, {len(self.clear)} bytes>"


def wrapping_key(values: Values, bench: Bench, use: Use) -> HeldKey:
    """The ZMK, in the Atalla variant that the command names. CommandError 10, 15, 27, A1 … A8."""
    zmk = bench.held(use, values["zmk"], "zmk")
    variant = values.get("atalla_variant", "")
    if variant in ("", "0"):
        return zmk
    if zmk.algorithm not in _DES:
        raise CommandError("15", "atalla_variant")
    return zmk._replace(clear=keys.atalla(zmk.clear, int(variant)))


def received_key(zmk: HeldKey, key: Cryptogram, key_type: str, bench: Bench) -> Imported:
    """Open and judge a key under a ZMK. CommandError 11, 29, 75, A4, A6, A7, AA, BB."""
    if key_type in bench.policy.kept_home:
        raise CommandError("29", "key_type")
    got = exchange.receive(zmk, key)
    header = got.header
    if header is not None:
        header = _judged(header, key_type, bench)
    elif bench.lmk.scheme != "variant":
        header = _headed(got.algorithm, len(got.clear), key_type, bench)
    elif got.algorithm not in _DES:
        raise CommandError("A7", "key_zmk")
    clear = require_usable(got.clear, got.algorithm, "key_zmk")
    return Imported(clear, got.algorithm, header, clear != got.clear)


def _judged(header: BlockHeader, key_type: str, bench: Bench) -> BlockHeader | None:
    """The header a key keeps: under a key-block LMK its own, or a narrower one that ``#`` asks for;
    under a variant LMK none, but then the key must be of the type it is said to be."""
    require_free(header.usage, bench)
    if key_type != BLOCK_TYPE and header.usage not in _usages(key_type, bench):
        raise CommandError("A6", "key_zmk")
    if bench.lmk.scheme == "variant":
        if header.algorithm not in _DES:
            raise CommandError("A7", "key_zmk")
        return None
    wanted = bench.attributes
    if wanted is None or not wanted.usage:
        return header
    if not any({header.usage, wanted.usage} <= same for same in _same_uses(header.usage)):
        raise CommandError("A6", "attributes")
    require_free(wanted.usage, bench)
    if header.mode not in ("N", wanted.mode):
        raise CommandError("A8", "attributes")
    return BlockHeader(
        header.version, wanted.usage, header.algorithm, wanted.mode, header.key_version,
        exchange.narrowed(header.export, wanted.export), header.blocks,
    )  # fmt: skip


def _usages(key_type: str, bench: Bench) -> frozenset[str]:
    classic = bench.lmk.scheme == "variant" and not bench.policy.separate_002
    if key_type == "002" and classic:
        return uses.CLASSIC_002
    return uses.USAGES.get(key_type, frozenset())


def _headed(algorithm: str, length: int, key_type: str, bench: Bench) -> BlockHeader:
    """The header that ``#`` asks for a key that came without one; the key says the algorithm."""
    asked = bench.attributes
    if asked is None:
        raise CommandError("A6", "attributes")
    if key_type != BLOCK_TYPE and asked.usage not in _usages(key_type, bench):
        raise CommandError("A6", "attributes")
    require_free(asked.usage, bench)
    if algorithm == "4" and not asked.algorithm:
        asked = replace(asked, algorithm="41")
    header = asked.header("0", length=length)
    if header.algorithm != algorithm or KEY_BYTES.get(asked.algorithm, length) != length:
        raise CommandError("A7", "attributes")
    return header


def _same_uses(usage: str) -> list[frozenset[str]]:
    return [frozenset({usage}), *(same for same in uses.USAGES.values() if usage in same)]


def require_free(usage: str, bench: Bench) -> None:
    """CommandError 29: keys of this usage neither come nor go."""
    if any(usage in uses.USAGES[key_type] for key_type in bench.policy.kept_home):
        raise CommandError("29", "key")


def sent_key(zmk: HeldKey, key: HeldKey, key_type: str, scheme: str, bench: Bench) -> Cryptogram:
    """A key under a ZMK, in a block of the version and exportability that the command's tail names.
    CommandError 26, 27, 29, A6, AA, BB."""
    header, export = key.header, bench.tail.block_export
    if header is None and scheme in keys.BLOCK_SCHEMES:
        made = header_for(key, key_type, bench)
        require_free(made.usage, bench)
        # Nothing bound this key so far; what is asked for binds whoever receives it.
        header, export = replace(made, export="S"), export or made.export
    elif header is not None:
        require_free(header.usage, bench)
    elif bench.attributes is not None:
        require_free(bench.attributes.usage, bench)
    manner = Manner(scheme, bench.tail.block_version, export)
    return exchange.send(zmk, key._replace(header=header), manner, bench.entropy)


def header_for(key: HeldKey, key_type: str, bench: Bench) -> BlockHeader:
    """Of a key under a variant LMK: as the attributes say, which must fit its type, else what its
    type means."""
    asked = bench.attributes
    if asked is None or not asked.usage:
        usage, mode = uses.BLOCK_OF_TYPE.get(key_type, ("", ""))
        if not usage:
            raise CommandError("A6", "attributes")
        return BlockHeader("0", usage, key.algorithm, mode, "00", "E")
    allowed = uses.USAGES.get(key_type, frozenset({asked.usage}))
    if key_type == "002" and not bench.policy.separate_002:
        allowed = uses.CLASSIC_002
    if asked.usage not in allowed:
        raise CommandError("A6", "attributes")
    header = asked.header("0", length=len(key.clear))
    if header.algorithm != key.algorithm:
        raise CommandError("A7", "attributes")
    return header


def require_usable(clear: bytes, algorithm: str, where: str) -> bytes:
    """A key of the outside world, set to odd parity. CommandError 11: all zero; 75: weak, or equal
    halves, which make a long key a short one."""
    if not any(clear):
        raise CommandError("11", where)
    if algorithm not in _DES:
        return clear
    odd = primitives.odd_parity(clear)
    if primitives.is_weak(odd):
        raise CommandError("75", where)
    return odd
