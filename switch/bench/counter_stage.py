"""The stage of ``yyt bench bank``: a POS door, a bank and an HSM, and nothing of a hospital.

One file of the switch for each node; the counter's POS terminals are shared out between them.
"""

import socket
from pathlib import Path
from typing import Any

from switch.demo import cards, stage
from switch.demo.stage import Stage

POS_MERCHANT = "104440180620002"
POS_TERMINALS = tuple(f"7000{n:04d}" for n in range(1, 129))
FRONT = "counter"
_PAN = cards.CARDS[2].pan
"""A card for load: the bank lets it spend without end."""


def nodes_of(count: int) -> tuple[str, ...]:
    """Names of ``count`` nodes."""
    return tuple(f"node-{n + 1}" for n in range(count))


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def make_outside(setting: Stage) -> None:
    """The bank's host file, and each POS terminal's master key in clear."""
    stage.make_outside(setting)
    for terminal in POS_TERMINALS:
        stage.make_key(setting.outside / f"pos-{terminal}.hex")


def make_inside(setting: Stage, nodes: tuple[str, ...], doors: dict[str, int]) -> None:
    """The switches' files, the counters' files, the vault's key. HSM and database must be up."""
    bank_tmks = stage.under_lmk(
        setting, "000", [f"tmk-{terminal}" for terminal in stage.LOGICAL_TERMINALS]
    )
    pos_tmks = stage.under_lmk(setting, "000", [f"pos-{terminal}" for terminal in POS_TERMINALS])
    banks = tuple(zip(stage.LOGICAL_TERMINALS, bank_tmks, strict=True))
    pos = dict(zip(POS_TERMINALS, pos_tmks, strict=True))
    stage.run("journal", "migrate", "--data", str(setting.postgres))
    share = len(POS_TERMINALS) // len(nodes)
    for number, node in enumerate(nodes):
        mine = POS_TERMINALS[number * share : (number + 1) * share]
        settings = _settings(setting, node, doors[node], banks, {t: pos[t] for t in mine})
        stage.write_yaml(setting.folder / f"{node}.yaml", settings)
        stage.write_yaml(setting.folder / f"{node}-counter.yaml", _counter(setting, mine))
    first = str(setting.folder / f"{nodes[0]}.yaml")
    stage.run("key", "generate", "vault", "--usage", "DEK", "--config", first)


def _counter(setting: Stage, terminals: tuple[str, ...]) -> dict[str, Any]:
    keys = [
        {
            "merchant": POS_MERCHANT,
            "terminal": terminal,
            "tmk": (setting.outside / f"pos-{terminal}.hex").read_text(encoding="ascii"),
        }
        for terminal in terminals
    ]
    card = {"pan": _PAN, "pin": cards.PIN, "expiry": cards.EXPIRY}
    return {"terminals": keys, "card": card}


def _settings(
    setting: Stage,
    node: str,
    door: int,
    banks: tuple[tuple[str, str], ...],
    pos: dict[str, str],
) -> dict[str, Any]:
    settings = stage.switch_settings(setting, banks, "key:vault")
    metrics = setting.ports.metrics if node == "node-1" else free_port()
    settings["node"] |= {"name": node, "data_dir": str(_folder(setting, node))}
    settings["metrics"]["port"] = metrics
    settings["routes"] = [
        {
            "hospital": stage.HOSPITAL,
            "business": "pos_sale",
            "medium": "bank_card",
            "channel": "demo-bank",
        }
    ]
    settings["fronts"] = [{"name": FRONT, "plugin": "pos", "settings": _door_settings(door, pos)}]
    return settings


def _folder(setting: Stage, node: str) -> Path:
    folder = setting.folder / node
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _door_settings(port: int, pos: dict[str, str]) -> dict[str, Any]:
    return {
        "dialect": "cup-pos",
        "listen": {
            "host": "127.0.0.1",
            "port": port,
            "accept_limit": 16,
            "peer_limit": 16,
            "allow": ["127.0.0.1/32"],
        },
        "connect_timeout_ms": 2_000,
        "frame_limit_bytes": 4_096,
        "frame_timeout_ms": 2_000,
        "idle_timeout_ms": 60_000,
        "peer_in_flight_limit": 256,
        "pin_key_type": "002",
        "wrong_macs_per_minute": 10,
        "terminal_timeout_ms": 30_000,
        "key_max_age_ms": 86_400_000,
        "batch_payments_limit": 100_000,
        "terminals": [
            {
                "merchant": POS_MERCHANT,
                "terminal": terminal,
                "hospital": stage.HOSPITAL,
                "clearing": "outpatient",
                "tmk": tmk,
                "operations": ["sale"],
            }
            for terminal, tmk in pos.items()
        ],
    }
