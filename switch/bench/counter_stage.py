"""The stage of ``yyt bench bank``: a POS door, two banks and an HSM, and nothing of a hospital.

One file of the switch for each node; the counter's POS terminals are shared out between them. Cards
of the second bank (by BIN) are sold with by POS terminals of their own at the first node.
"""

import socket
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from switch.demo import cards, stage
from switch.demo.stage import Stage

POS_MERCHANT = "104440180620002"
POS_TERMINALS = tuple(f"7000{n:04d}" for n in range(1, 129))
FAR_TERMINALS = tuple(f"7100{n:04d}" for n in range(1, 65))
FAR_BANK = "far-bank"
FRONT = "counter"
_PAN = cards.CARDS[2].pan
"""A card for load: the bank lets it spend without end."""
_FAR_BIN = "621799"
_FAR_PAN = f"{_FAR_BIN}0000000019"
_BALANCE_FEN = 100_000_000_000


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
    for terminal in (*POS_TERMINALS, *FAR_TERMINALS):
        stage.make_key(setting.outside / f"pos-{terminal}.hex")
    near = (setting.outside / "bank.yaml").read_text(encoding="utf-8")
    far = {
        "terminals": yaml.safe_load(near)["terminals"],
        "issues": [{"prefix": _FAR_BIN, "pin": cards.PIN, "balance_fen": _BALANCE_FEN}],
    }
    stage.write_yaml(setting.outside / f"{FAR_BANK}.yaml", far)


def make_inside(
    setting: Stage, nodes: tuple[str, ...], doors: dict[str, int], far_port: int
) -> None:
    """The switches' files, the counters' files, the vault's key. HSM and database must be up."""
    bank_tmks = stage.under_lmk(
        setting, "000", [f"tmk-{terminal}" for terminal in stage.LOGICAL_TERMINALS]
    )
    counters = (*POS_TERMINALS, *FAR_TERMINALS)
    pos_tmks = stage.under_lmk(setting, "000", [f"pos-{terminal}" for terminal in counters])
    banks = tuple(zip(stage.LOGICAL_TERMINALS, bank_tmks, strict=True))
    pos = dict(zip(counters, pos_tmks, strict=True))
    stage.run("journal", "migrate", "--data", str(setting.postgres))
    share = len(POS_TERMINALS) // len(nodes)
    for number, node in enumerate(nodes):
        mine = POS_TERMINALS[number * share : (number + 1) * share]
        theirs = {t: pos[t] for t in (*mine, *FAR_TERMINALS)}
        settings = _settings(setting, node, doors[node], banks, theirs)
        _add_far_bank(settings, far_port)
        stage.write_yaml(setting.folder / f"{node}.yaml", settings)
        counter = _counter(setting, mine, _PAN)
        stage.write_yaml(setting.folder / f"{node}-counter.yaml", counter)
    far = _counter(setting, FAR_TERMINALS, _FAR_PAN)
    stage.write_yaml(setting.folder / f"{FAR_BANK}-counter.yaml", far)
    first = str(setting.folder / f"{nodes[0]}.yaml")
    stage.run("key", "generate", "vault", "--usage", "DEK", "--config", first)


def _add_far_bank(settings: dict[str, Any], port: int) -> None:
    """A second bank of the same kind, for the cards of its own BIN."""
    near = deepcopy(settings["channels"][0])  # the file's YAML has no references
    links = [{"mode": "client", "host": "127.0.0.1", "port": port}]
    far = near | {"name": FAR_BANK, "settings": near["settings"] | {"links": links}}
    settings["channels"].append(far)
    route = settings["routes"][0]
    settings["routes"].append(route | {"channel": FAR_BANK, "bins": [_FAR_BIN]})


def _counter(setting: Stage, terminals: tuple[str, ...], pan: str) -> dict[str, Any]:
    keys = [
        {
            "merchant": POS_MERCHANT,
            "terminal": terminal,
            "tmk": (setting.outside / f"pos-{terminal}.hex").read_text(encoding="ascii"),
        }
        for terminal in terminals
    ]
    card = {"pan": pan, "pin": cards.PIN, "expiry": cards.EXPIRY}
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
    bank = settings["channels"][0]["settings"]
    del bank["settlement"]  # no batch ends while it is measured
    del bank["trace"]  # a record for a bank's tester: off where it is not asked for
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
