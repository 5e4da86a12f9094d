"""The whole system on loopback, and two kiosks with a page before it.

``EMULATED`` is the demo's own kiosk: every device is played inside of it, and a side panel has the
visitor's hands. ``REAL`` has the drivers of real devices, at real lines: pcscd for bank and visit
cards, pseudo terminals for pad and printer; whoever plays the far ends has the test's process.
"""

import socket
from pathlib import Path
from typing import Any

import yaml

from switch.audit.compare import Audit
from switch.demo import page_kiosk, stage
from switch.demo.cards import CARDS
from switch.demo.processes import Program
from switch.demo.scenes import post
from tests.crash.rig import READY_S, Rig, until

EMULATED = stage.PAGE_KIOSK
REAL = "kiosk-1"
"""The first scripted kiosk of the demo, enrolled like all, with other devices."""
VISIT_NAME = bytes.fromhex("D1560000010801")
"""Application of the visit cards."""

_READER = {
    "look_again_ms": "1000",
    "retry_min_ms": "50",
    "retry_max_ms": "400",
    "connect_tries": "5",
    "connect_pause_ms": "300",
    "apdu_timeout_ms": "5000",
}


class Stack(Rig):
    """PostgreSQL, HSM, bank, hospital, switch; kiosks as they are asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.kiosks = ()
        self.pages = {EMULATED: self.stage.ports.page, REAL: _free_port()}

    def start(self) -> None:
        """All but the kiosks; those are enrolled. Raises NotReady."""
        stage.clear(self.stage.folder)
        self.make_outside()
        self.supervisor.run()
        self.supervisor.start(self.programs.foundation(), READY_S)
        self.make_inside()
        self.configure(REAL, real_sections(self))
        self.supervisor.start([self.programs.switch()], READY_S)
        stage.enrol(self.stage)

    def start_kiosk(self, name: str) -> None:
        """Run it until the end, whatever it dies of. Raises NotReady."""
        programs = {EMULATED: self.programs.page_kiosk(), REAL: self.programs.kiosks()[0]}
        program: Program = programs[name]
        self.supervisor.start([program], READY_S)
        self.kiosks = (*self.kiosks, name)

    def configure(self, kiosk: str, changes: dict[str, Any]) -> None:
        """Change sections of a kiosk's file; a section that stands there is added to."""
        path = self.stage.kiosk(kiosk) / "agent.yaml"
        config = yaml.safe_load(path.read_text("utf-8"))
        for name, section in changes.items():
            config[name] = {**config.get(name, {}), **section}
        path.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")

    def power_cut(self, name: str, *environs: dict[str, str]) -> None:
        """Kill -9; it is started anew at once, with ``environs`` for its next starts."""
        was = self.starts(name)
        self.supervisor.next_starts(name, *environs)
        self.supervisor.kill(name)
        until(lambda: self.starts(name) > was, f"{name} starts again")

    def forget_habits(self) -> None:
        """The bank behaves again."""
        post(f"{self.http['bank']}/habits", {"clear": True})

    def asked(self) -> int:
        """Sales that the bank was ever asked for."""
        return self.heard_by_bank().get("sale", 0)

    def new_bills(self, patient: str, count: int) -> None:
        """The hospital wants something more of this patient."""
        post(f"{self.http['his']}/bills", {"patient": patient, "count": count})

    def moved(self, before: Audit) -> int:
        """What has moved since: the same at the bank, in the hospital's books and as the kiosks
        told it, with nothing left over and nothing to settle by hand."""
        after = self.settled()
        assert after.violations == []
        assert (after.in_flight, after.exceptions) == (0, before.exceptions)
        names = ("bank_net_fen", "his_booked_fen", "terminal_told_fen")
        (moved,) = {getattr(after, name) - getattr(before, name) for name in names}
        return int(moved)


def real_sections(stack: Stack) -> dict[str, Any]:
    """The sections of a kiosk whose devices are at real lines."""
    folder = stack.stage.kiosk(REAL)
    pad_key = stack.stage.outside / f"pad-{REAL}.hex"
    sections = page_kiosk.sections(folder, pad_key, stack.pages[REAL])
    emulated = sections["devices"]
    pad = {
        name: text for name, text in emulated["pin_pad"]["options"].items() if name != "key_file"
    }
    reading = f"00A4040007{VISIT_NAME.hex()} 00B0810000"
    sections["devices"] = {
        "card_reader": {
            "driver": "pcsc",
            "options": {**_READER, "reader": "Virtual PCD 00 00", "profile": "cup"},
        },
        "visit_card": {
            "driver": "pcsc",
            "options": {
                **_READER,
                "reader": "Virtual PCD 00 01",
                "kind": "cpu",
                "commands": reading,
            },
        },
        "pin_pad": {"driver": "zt598", "options": pad},
        "printer": {"driver": "escpos", "options": emulated["printer"]["options"]},
    }
    sections["page"]["panel"] = "false"
    return sections


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def pan_of(card: str) -> str:
    """The number of one of the demo's cards."""
    return next(known.pan for known in CARDS if known.id == card)
