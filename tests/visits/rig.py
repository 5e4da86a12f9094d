"""An agent's process with a page and emulated devices, and a patient who stands before it."""

import json
import sys
from pathlib import Path
from typing import Any

from switch.demo import page_kiosk
from tests.kiosk.rig import PAD_KEY, Kiosk, Process, http
from tests.visits.patient import PIN, Patient

CARDS = ({"id": "good", "pan": "6200000000000000005"}, {"id": "other", "pan": "6200000000000021"})


class PageKiosk(Patient, Kiosk):  # type: ignore[misc]
    """A kiosk at whose page a patient stands."""

    def __init__(self, folder: Path, authority: Path, port: int, **flows: int) -> None:
        super().__init__(folder, authority, port)
        config = json.loads(self.config.read_text())
        (folder / "pad.key").write_text(PAD_KEY)
        cards = [{**card, "expiry": "4012", "pin": PIN} for card in CARDS]
        (folder / "cards.yaml").write_text(json.dumps({"cards": cards}))
        sections = page_kiosk.sections(folder, folder / "pad.key", 0)
        sections["flows"] |= flows
        config |= sections
        config["payment"]["patient_wait_ms"] = 8_000
        self.config.write_text(json.dumps(config, ensure_ascii=False))

    def start(self, crash_at: str = "") -> None:
        """Run it, and stand before its page."""
        self.process = Process(
            [sys.executable, "-m", "switch.cli", "agent", "--config", str(self.config)],
            {"CRASH_AT": crash_at},
        )
        ready = self.process.wait_for(lambda line: line["event"] == "agent_ready")
        self.url = f"http://127.0.0.1:{ready['control_port']}"
        self.page_port = int(ready["page"].split(":")[2].split("/")[0])
        self.stand()

    def stop(self, *, kill: bool = False) -> None:
        """Leave, and end the process (``kill``: as a power cut would)."""
        self.leave()
        assert self.process is not None
        self.process.end(kill=kill)

    def told(self) -> list[dict[str, Any]]:
        """What this kiosk was told of its payments."""
        told: list[dict[str, Any]] = http("GET", f"{self.url}/ledger")[1]["told"]
        return told
