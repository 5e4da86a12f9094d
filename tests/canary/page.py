"""A patient at the page kiosk of the canaries' stage, and everything that the page ever showed."""

import json
import secrets
import subprocess
from pathlib import Path
from typing import Any

from switch.demo import stage
from terminal_agent.devices.id_reader_emulator import SAMPLE
from tests.canary.scanner import Scanner
from tests.visits.patient import Patient

CODE = "".join(secrets.choice("0123456789") for _ in range(12))
"""The attendant's."""
SCANNED = "28" + "".join(secrets.choice("0123456789") for _ in range(16))
"""A payment code, shown where a patient's code is asked for."""
PIECES_MAX = 1_000


class PagePatient(Patient):
    """Before ``kiosk-3`` of a stage."""

    def __init__(self, on: stage.Stage) -> None:
        self.page_port = on.ports.page

    def home(self) -> None:
        """Back, the card taken."""
        self.tap("home")
        self.until(lambda view: view["screen"] in ("take_card", "home"))
        self.hand("pull")
        self.ready()

    def attend(self) -> dict[str, Any]:
        """The attendant's screen, by its code; a wrong one first."""
        self.ready()
        self.tap("attendant")
        self.on("code")
        for code in (CODE[::-1], CODE):
            for shown, digit in enumerate(code, 1):
                self.tap("digit", digit)
                self.until(lambda view, shown=shown: view.get("digits") == shown)  # type: ignore[misc]
            self.tap("confirm")
            self.until(lambda view: not view.get("digits"))
        return self.on("attendant")

    def panels(self) -> list[Any]:
        """What the side panel was told."""
        self.panel.socket.settimeout(0.5)
        heard = []
        for _ in range(PIECES_MAX):
            try:
                heard.append(self.panel.hear())
            except TimeoutError:
                break
        return heard


def make_inside(on: stage.Stage) -> None:
    """There is an attendant."""
    file = on.kiosk(stage.PAGE_KIOSK) / "attendant.code"
    argv = stage.command("agent", "attendant-code", "--file", str(file))
    subprocess.run(argv, input=f"{CODE}\n", text=True, check=True, capture_output=True)


def learn(known: Scanner) -> None:
    """What only this kiosk hears."""
    known.learn("attendant's code", digits=CODE)
    known.learn("scanned code", digits=SCANNED)
    known.learn("ID card", digits=SAMPLE.number.reveal().rstrip("X"))


def keep(patient: PagePatient, folder: Path) -> None:
    """All that page and panel were told, as files among the others."""
    folder.mkdir()
    for name, heard in (("views", patient.views), ("panels", patient.panels())):
        lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in heard)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
