"""How the client says in host commands what a key or a MAC is: types, attributes, flags, codes."""

from typing import Final

from hsm import uses
from hsm.block_header import Attributes
from hsm.keys import BLOCK_TYPE, Cryptogram, scheme_for
from hsm.kinds import Values
from switch.model.mac_form import MacForm
from switch.ports import KeyServiceError

_FLAGS: Final = {16: "0", 32: "1", 48: "2"}
_FLAG_IN_BLOCK: Final = "F"
_ALGORITHMS: Final = {8: "T1", 16: "T2", 24: "T3"}
"""Bytes of a DES key → its algorithm in ``#`` attributes."""
LENGTHS: Final = {"U": "T2", "T": "T3"}
"""Variant scheme → algorithm of a key block of the same length."""
_SM4: Final = "4"
_SINGLE_DES: Final = "D"
_ALGORITHM_AT: Final = 7
"""Where a key block's header has the letter of its algorithm."""


def algorithm_for(wrapping: Cryptogram, length: int) -> str:
    """The algorithm of a key of ``length`` bytes under this one, as ``#`` names it: SM4 under SM4,
    else DES of its length."""
    return "41" if _algorithm(wrapping) == _SM4 else _ALGORITHMS[length]


def attributes(command: str, key_type: str, algorithm: str) -> Attributes:
    """Of a new key block: what its type means, in any mode of use. KeyServiceError 28: no usage is
    known for this type."""
    usage = uses.APART.get(key_type) or uses.BLOCK_OF_TYPE.get(key_type, ("", ""))[0]
    if not usage:
        raise KeyServiceError(command, "28", f"no key block is known for type {key_type}")
    return Attributes(usage, algorithm, "N", "00", "N" if key_type in uses.AT_HOME else "E")


def typed(key: Cryptogram, key_type: str) -> Values:
    """How BU and BW name a key's type: a pair code and a length flag, or ``FF`` and the type."""
    if key.in_block:
        return {"pair_code": "FF", "length_flag": _FLAG_IN_BLOCK, "key_type": BLOCK_TYPE}
    flag = _FLAGS[len(key.body)]
    if key_type.startswith("0"):
        return {"pair_code": key_type[1:], "length_flag": flag}
    return {"pair_code": "FF", "length_flag": flag, "key_type": key_type}


def variant_scheme(received: Cryptogram) -> str:
    """A TR-31 block does not show its key's length: double, as every key of the trade is."""
    return "U" if received.in_block else scheme_for(len(received.body) // 2)


CUP_CODES: Final = ("2", "0", "1", "1")
"""Message form, MAC size, algorithm and padding (which adds nothing) of field 64."""


def mac_codes(form: MacForm, key: Cryptogram) -> tuple[str, str, str, str]:
    """The same of any other form. The folded message of field 64 travels as text, this one as the
    bytes it is: a device whose characters are not ASCII would read a text its own way.

    X9.19 under a single-length key is X9.9, as MA has it: the device refuses algorithm 3 for one.
    KeyServiceError A7: the key is of another cipher.
    """
    if (_algorithm(key) == _SM4) != (form.algorithm == "sm4_cbc"):
        raise KeyServiceError("M6", "A7", "the key is not one for this kind of MAC")
    retail = form.algorithm == "retail" and _algorithm(key) != _SINGLE_DES
    return (
        "0",
        "1" if form.characters == 16 else "0",
        "3" if retail else "1",
        "2" if form.padding == "80" else "1",
    )


def _algorithm(key: Cryptogram) -> str:
    """The letter of the key's algorithm; a variant scheme shows the length alone."""
    if key.in_block:
        return key.body[_ALGORITHM_AT]
    return _SINGLE_DES if len(key.body) == 16 else "T"
