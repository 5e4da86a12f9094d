"""The demo's kiosk with a page: every device emulated, and a side panel for the visitor's hands."""

from pathlib import Path
from typing import Any

from switch.demo import cards

VISITORS = tuple(f"P2{number:03d}" for number in range(1, 7))
"""Patients that the scripted morning leaves alone."""
MERCHANTS = {
    "outpatient": ("104440180620001", "80000101", "DEMO HOSPITAL OUTPATIENT"),
    "inpatient": ("104440180620002", "80000201", "DEMO HOSPITAL INPATIENT"),
}


def sections(folder: Path, pad_key: Path, port: int) -> dict[str, Any]:
    """What differs from a scripted kiosk's configuration. The emulators' lines are below
    ``folder``."""
    return {
        "devices": _devices(folder, pad_key),
        "emv": {
            "profile": "cup",
            "interface_serial": "YYTDEMO3",
            "merchants": {
                clearing: {
                    "merchant_number": merchant,
                    "terminal_number": terminal,
                    "merchant_name": name,
                }
                for clearing, (merchant, terminal, name) in MERCHANTS.items()
            },
        },
        "flows": {
            "amounts_fen": [5_000, 10_000, 20_000, 50_000, 100_000, 200_000],
            "choose_ms": 90_000,
            "card_ms": 60_000,
            "result_ms": 30_000,
            "retries_max": 2,
            "unfinished_ms": 600_000,
        },
        "page": {"bind": "127.0.0.1", "port": port, "panel": "true"},
    }


def _devices(folder: Path, pad_key: Path) -> dict[str, Any]:
    def serial(name: str, baud: int, **options: str) -> dict[str, str]:
        line = {
            "port": str(folder / name),
            "baud": str(baud),
            "answer_timeout_ms": "2000",
            "reopen_min_ms": "200",
            "reopen_max_ms": "5000",
            "poll_ms": "5000",
        }
        return line | options

    pad = {
        "key_file": str(pad_key),
        "master_slot": "01",
        "pin_slot": "30",
        "mac_slot": "31",
        "data_slot": "32",
        "mac_form": "x919",
        "clear_key": "backspace",
    }
    return {
        "timeout_ms": 60_000,
        "card_reader": {"driver": "emulator", "options": {"cards": str(folder / "cards.yaml")}},
        "pin_pad": {"driver": "zt598-emulator", "options": serial("pad", 9_600, **pad)},
        "printer": {
            "driver": "escpos-emulator",
            "options": serial("printer", 19_200, print_timeout_ms="10000"),
        },
        "visit_card": {"driver": "emulator", "options": {"numbers": " ".join(VISITORS)}},
        "id_reader": {
            "driver": "sam-emulator",
            "options": serial("id-reader", 115_200, find_interval_ms="300"),
        },
        "scanner": {
            "driver": "serial-emulator",
            "options": serial("scanner", 9_600, debounce_ms="1500", gap_ms="200"),
        },
    }


def cards_in_the_hand() -> list[dict[str, Any]]:
    """The visitor's bank cards: the first few are enough to choose from."""
    return [card for card in cards.in_the_hand() if not card["id"].startswith("load-")]
