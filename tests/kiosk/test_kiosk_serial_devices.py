"""A whole kiosk on serial lines: real drivers, emulated pad and printer, the real link."""

import json
from typing import Any

import pytest

from hsm.primitives import account12, ecb_decrypt, pin_from_block_0
from tests.kiosk.rig import PAD_KEY, PAN, PIN, Kiosk, Switch, http, until

LINE = {
    "baud": "9600",
    "answer_timeout_ms": "1000",
    "reopen_min_ms": "100",
    "reopen_max_ms": "1000",
    "poll_ms": "200",
}
ZT598 = {
    "master_slot": "01",
    "pin_slot": "30",
    "mac_slot": "31",
    "data_slot": "32",
    "mac_form": "x919",
    "clear_key": "clear",
}
VISA = {"master_key": "0", "entry_timeout_ms": "1000"}
NLPP60 = {
    "directory": "1",
    "pin_master": "00",
    "mac_master": "00",
    "pin_key": "01",
    "mac_key": "01",
    "key_uses": "1000",
    "pairing_file": "{folder}/pad.pairing",
}


@pytest.mark.parametrize(
    ("driver", "own"),
    [("zt598-emulator", ZT598), ("visa-emulator", VISA), ("nlpp60-emulator", NLPP60)],
)
def test_a_patient_pays_with_a_serial_pad(
    kiosk: Kiosk, switch: Switch, driver: str, own: dict[str, str]
) -> None:
    """The block holds the PIN, the slip comes out of the printer, and no log holds a digit."""
    config: dict[str, Any] = json.loads(kiosk.config.read_text())
    (kiosk.folder / "pad.pairing").write_text(f"{'00' * 16}\n" * 3)
    own = {name: value.format(folder=kiosk.folder) for name, value in own.items()}
    pad = {**LINE, **own, "port": str(kiosk.folder / "pad"), "key_file": f"{kiosk.folder}/pad.key"}
    printer = {**LINE, "port": str(kiosk.folder / "printer"), "print_timeout_ms": "5000"}
    config["devices"]["pin_pad"] = {"driver": driver, "options": pad}
    config["devices"]["printer"] = {"driver": "escpos-emulator", "options": printer}
    kiosk.config.write_text(json.dumps(config))
    kiosk.start()
    kiosk.link_up()
    until(lambda: http("GET", f"{kiosk.url}/health")[1]["parts"]["printer"] == "online")

    status, told = kiosk.pay(patient_card="C1", card="good")

    assert (status, told["state"]) == (200, "approved")
    (seen,) = switch.seen()
    block = ecb_decrypt(bytes.fromhex(PAD_KEY), bytes.fromhex(seen["pin_block"]))
    assert pin_from_block_0(block, account12(PAN)) == PIN
    assert http("POST", f"{kiosk.url}/reprint/{told['key']}")[0] == 200
    assert kiosk.process is not None
    log = "".join(kiosk.process.output)
    assert not any(secret in log for secret in (f'"{PIN}', PAN, seen["pin_block"], PAD_KEY))
