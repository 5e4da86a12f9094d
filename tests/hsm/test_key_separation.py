"""No way round the types and uses of keys under the strict policy (norms rows 6, 8, 14, 26)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm import keys, primitives
from hsm.block_header import Attributes
from hsm.codec import Tail
from hsm.daemon.judge import CountingJudge
from hsm.keys import Cryptogram
from hsm.policy import Policy
from hsm.verifications import Verifications

STRICT = Policy(test=True, separate_002=True)
"""Strict in all but the status of the LMK, which lets BW move keys between the test LMKs."""
FREE = replace(STRICT, needing_authority=frozenset())
"""The same while officers have authorised everything."""
ZMK = "0123456789ABCDEFFEDCBA9876543210"
PIK = bytes.fromhex("23456789ABCDEF01DCFEBA9876543210")
BLOCKS = ("01", "02")
MakeHost = Callable[[Policy], Any]


def told(lmk_id: str, usage: str, export: str = "N", algorithm: str = "T2") -> Tail:
    """The tail that asks for a key block of this usage."""
    return Tail(lmk_id, attributes=Attributes(usage, algorithm, "B", "00", export))


def under_zmk(host: Any) -> tuple[Cryptogram, Cryptogram]:
    """A ZMK under LMK 00, and a PIN key of the bank under it as everybody can see it."""
    return host.wrap("000", ZMK), keys.wrap(bytes.fromhex(ZMK), "X", PIK)


def zmk_block(host: Any, lmk_id: str) -> Cryptogram:
    """The same ZMK in a key block."""
    held = {"pair_code": "00", "length_flag": "1", "key": host.wrap("000", ZMK)}
    error, moved = host.ask("BW", tail=told(lmk_id, "K0"), scheme_lmk="S", **held)
    assert error == "00"
    key: Cryptogram = moved["key"]
    return key


@pytest.mark.parametrize("lmk_id", BLOCKS)
@pytest.mark.parametrize("usage", ["D0", "21"])
def test_N6_no_pin_key_comes_in_as_a_key_that_decrypts(
    make_host: MakeHost, lmk_id: str, usage: str
) -> None:
    """A6 and FA under a key-block LMK: 29, whatever type the key is said to be of; a type and a
    usage that do not belong together are A6."""
    host = make_host(FREE)
    zmk, (_, pik) = zmk_block(host, lmk_id), under_zmk(host)
    asked = {"zmk": zmk, "key_zmk": pik, "scheme_lmk": "S"}
    tail = told(lmk_id, usage)

    assert host.ask("A6", tail=tail, key_type="FFF", **asked)[0] == "29"
    assert host.ask("A6", tail=tail, key_type="00A", **asked)[0] in {"29", "A6"}
    assert host.ask("A6", tail=tail, key_type="001", **asked)[0] == "A6"
    assert host.ask("FA", tail=tail, zmk=zmk, key_zmk=pik)[0] == "A6"
    assert host.ask("A6", tail=told(lmk_id, "72"), key_type="FFF", **asked)[0] == "00"


@pytest.mark.parametrize("lmk_id", BLOCKS)
def test_N6_a_change_of_lmk_changes_no_use(make_host: MakeHost, lmk_id: str) -> None:
    """BW: a PIN key stays one; a data key that may travel never decrypts; one that decrypts never
    travels."""
    host = make_host(FREE)

    def moved(key_type: str, tail: Tail) -> tuple[str, dict[str, Any]]:
        held = {"length_flag": "1", "key": host.wrap(key_type, PIK.hex())}
        answer: tuple[str, dict[str, Any]] = host.ask(
            "BW", tail=tail, pair_code=key_type[1:], scheme_lmk="S", **held
        )
        return answer

    assert moved("001", told(lmk_id, "D0"))[0] == "A6"
    assert moved("00A", told(lmk_id, "D0"))[0] == "29"
    assert moved("00B", told(lmk_id, "D0", export="S"))[0] == "AA"
    assert moved("00B", Tail(lmk_id))[1]["key"].body[5:12] == "D0TB00N"
    assert moved("00A", Tail(lmk_id))[1]["key"].body[5:7] == "22"
    assert moved("000", Tail(lmk_id))[1]["key"].body[5:12] == "K0TB00N"


def test_N14_no_decrypting_key_is_made_for_export(make_host: MakeHost) -> None:
    """A0 with export, in a block or as X: 29."""
    host = make_host(FREE)
    zmk = zmk_block(host, "02")
    asked = {"mode": "1", "key_type": "FFF", "scheme_lmk": "S", "zmk": zmk}
    for scheme in ("S", "R", "X"):
        tail = told("02", "D0", export="E")
        assert host.ask("A0", tail=tail, scheme_zmk=scheme, **asked)[0] == "29"


def test_N8_kept_pins_do_not_go_round_the_translation_rules(make_host: MakeHost) -> None:
    """JG into ISO 0: 69 while formats are taken that may not become it; done when none is."""
    zpk = {"account": "123456789012", "format": "01"}
    strict = make_host(STRICT)
    kept = strict.ask("JA", account=zpk["account"])[1]["pin"]
    assert strict.ask("JG", zpk=strict.wrap("001", ZMK), pin=kept, **zpk)[0] == "69"
    alone = make_host(replace(STRICT, pin_formats=frozenset({"01"})))
    assert alone.ask("JG", zpk=alone.wrap("001", ZMK), pin=kept, **zpk)[0] == "00"


@pytest.mark.parametrize("code", ["BK", "CU", "DE", "DG", "DU", "EE", "FW"])
def test_N24_what_a_card_issuer_makes_needs_the_officers(make_host: MakeHost, code: str) -> None:
    """Offsets under a table of the caller's choice find a PIN in a few tries: 17."""
    assert make_host(STRICT).raw(b"0000" + code.encode())[6:8] == b"17"


def test_N26_another_cryptogram_of_the_same_key_is_as_held(make_host: MakeHost) -> None:
    """M8: wrong MACs hold the key itself; imported again under another scheme it stays held."""
    host = make_host(STRICT)
    strict = Verifications(limit=5, window_ms=3_600_000, hold_ms=3_600_000, keys_max=10)
    host.processor.service.judge = CountingJudge(strict, strict)
    asked = {"mode": "0", "form": "2", "mac_size": "0", "algorithm": "1", "padding": "1",
             "key_type": "003", "message": b"amount 1"}  # fmt: skip
    zmk, _ = under_zmk(host)
    tak = keys.wrap(bytes.fromhex(ZMK), "X", PIK)
    brought = {"key_type": "003", "zmk": zmk, "key_zmk": tak}
    as_u, as_x = (host.ask("A6", scheme_lmk=s, **brought)[1]["key_lmk"] for s in "UX")
    right = primitives.cbc_mac(PIK, b"amount 1").hex().upper()[:8]

    codes = [host.ask("M8", key=as_u, mac=f"{at:08X}", **asked)[0] for at in range(7)]
    assert codes == ["01"] * 5 + ["39"] * 2
    assert host.ask("M8", key=as_x, mac=right, **asked)[0] == "39"


def test_N6_a_key_that_only_verifies_makes_no_mac(make_host: MakeHost) -> None:
    """M8 over a first part answers the chain, which is a MAC: A8 for a block of mode V."""
    host = make_host(FREE)
    tail = Tail("02", attributes=Attributes("M1", "T2", "V", "00", "N"))
    made = host.ask("A0", tail=tail, mode="0", key_type="FFF", scheme_lmk="S")[1]["key_lmk"]
    asked = {"form": "2", "mac_size": "1", "algorithm": "1", "padding": "0", "key_type": "FFF",
             "key": made, "message": b"ABCDEFGH"}  # fmt: skip
    assert host.ask("M8", mode="1", **asked)[0] == "A8"
    assert host.ask("M8", mode="0", mac="0" * 16, **asked)[0] == "01"
