"""Sets the stage: free ports, the outside world's test keys, certificates, configuration files.

Everything lies below one folder and is made anew at every start. Keys in ``outside/`` play what the
bank's host and the PIN pads hold; the switch's files hold them only under the test LMK.
"""

import json
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from switch.demo import cards, page_kiosk
from switch.demo.ports import Ports

MERCHANT = "104440180620001"
LOGICAL_TERMINALS = tuple(f"8000010{n}" for n in range(1, 9))
IN_FLIGHT_PER_TERMINAL = 8
"""8 logical terminals × 8: the bank of the demo allows 64 payments in flight."""
HOSPITAL = "demo-hospital"
HOSPITAL_NAME = "示范医院"
KIOSKS = ("kiosk-1", "kiosk-2")
"""Played by scripted hands."""
PAGE_KIOSK = "kiosk-3"
"""Has a page, for the visitor's own hands."""
ALL_KIOSKS = (*KIOSKS, PAGE_KIOSK)
FIRST_TMK = f"tmk-{LOGICAL_TERMINALS[0]}"
"""Its name in the key store."""
TERMINAL_IDS = {"kiosk-1": "KIOSK1", "kiosk-2": "KIOSK2", PAGE_KIOSK: "KIOSK3"}
COMMAND_TIMEOUT_S = 60


class Stage(Struct, frozen=True, kw_only=True):
    """Where everything is."""

    folder: Path
    ports: Ports
    response_timeout_ms: int = 3_000
    not_found_waits_ms: tuple[int, ...] = (2_000, 4_000)
    kiosk_reconnect_max_ms: int = 2_000

    @property
    def postgres(self) -> Path:
        """Data folder of the embedded PostgreSQL."""
        return self.folder / "postgres"

    @property
    def outside(self) -> Path:
        """What the bank and the pads hold."""
        return self.folder / "outside"

    @property
    def pki(self) -> Path:
        """The terminals' authority."""
        return self.folder / "pki"

    def kiosk(self, name: str) -> Path:
        """A kiosk's own folder."""
        return self.folder / name


def command(*arguments: str) -> tuple[str, ...]:
    """The command line of ``yyt ARGUMENTS`` in this environment."""
    return (sys.executable, "-m", "switch.cli", *arguments)


def run(*arguments: str) -> str:
    """Run ``yyt ARGUMENTS`` to its end and return what it printed. Raises CalledProcessError."""
    done = subprocess.run(  # noqa: S603 - our own command lines
        command(*arguments),
        check=True,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    return done.stdout


def clear(folder: Path) -> None:
    """Forget what an earlier demo left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)


def make_outside(stage: Stage) -> None:
    """The bank's host file (terminals' master keys, cards, PINs, balances) and the pads' keys."""
    stage.outside.mkdir(mode=0o700)
    terminals = []
    for terminal in LOGICAL_TERMINALS:
        tmk = make_key(stage.outside / f"tmk-{terminal}.hex")
        terminals.append({"merchant": MERCHANT, "terminal": terminal, "tmk": tmk})
    host = {"terminals": terminals, "issuer": cards.ISSUER, "cards": cards.at_the_bank()}
    write_yaml(stage.outside / "bank.yaml", host)
    for kiosk in ALL_KIOSKS:
        make_key(stage.outside / f"pad-{kiosk}.hex")


def make_inside(stage: Stage) -> None:
    """The authority, the switch's file, the kiosks' files, and in the key store the vault's key and
    the first terminal's: the others show that a file may hold a cryptogram as well. The HSM and
    the database must be up."""
    with ThreadPoolExecutor(4) as pool:
        names = [f"tmk-{terminal}" for terminal in LOGICAL_TERMINALS]
        tmks = pool.submit(under_lmk, stage, "000", names)
        pads = pool.submit(under_lmk, stage, "002", [f"pad-{kiosk}" for kiosk in ALL_KIOSKS])
        schema = pool.submit(run, "journal", "migrate", "--data", str(stage.postgres))
        run("terminal", "ca", "init", "--dir", str(stage.pki))
        invitations = zip(ALL_KIOSKS, pads.result(), strict=True)
        list(pool.map(lambda invitation: _invite(stage, *invitation), invitations))
        first, *others = tmks.result()
        texts = zip(LOGICAL_TERMINALS, (f"key:{FIRST_TMK}", *others), strict=True)
        write_yaml(stage.folder / "switch.yaml", switch_settings(stage, texts, "key:vault"))
        schema.result()
        list(pool.map(lambda key: _keep(stage, *key), _kept(first)))
    for kiosk in KIOSKS:
        write_yaml(stage.kiosk(kiosk) / "agent.yaml", agent_settings(stage, kiosk))
    folder = stage.kiosk(PAGE_KIOSK)
    pad_key = stage.outside / f"pad-{PAGE_KIOSK}.hex"
    page = agent_settings(stage, PAGE_KIOSK)
    page |= page_kiosk.sections(folder, pad_key, stage.ports.page)
    write_yaml(folder / "cards.yaml", {"cards": page_kiosk.cards_in_the_hand()})
    write_yaml(folder / "agent.yaml", page)


def enrol(stage: Stage) -> None:
    """Each kiosk makes its key and fetches its certificate at the switch's enrolment door."""
    url = f"https://127.0.0.1:{stage.ports.enrol}"

    def one(kiosk: str) -> None:
        folder = stage.kiosk(kiosk)
        code = str(folder / "code.json")
        run("terminal", "enrol", "--url", url, "--code-file", code, "--dir", str(folder / "pki"))

    with ThreadPoolExecutor(len(ALL_KIOSKS)) as pool:
        list(pool.map(one, ALL_KIOSKS))


def make_key(path: Path) -> str:
    """A fresh double-length test key of the outside world."""
    clear_key = secrets.token_hex(16).upper()
    path.touch(mode=0o600)
    path.write_text(clear_key, encoding="ascii")
    return clear_key


def under_lmk(stage: Stage, key_type: str, names: Iterable[str]) -> list[str]:
    """The keys in these files of ``outside/``, as cryptograms under the test LMK."""
    files = [str(stage.outside / f"{name}.hex") for name in names]
    printed = run("hsm", "wrap-test-key", "--type", key_type, "--file", *files)
    return [str(json.loads(line)["key"]) for line in printed.splitlines()]


def _kept(tmk: str) -> Iterable[tuple[str, ...]]:
    """Arguments of ``yyt key`` for what the key store holds."""
    owner = ("--bank", "demo-bank", "--merchant", MERCHANT, "--terminal", LOGICAL_TERMINALS[0])
    yield ("generate", "vault", "--usage", "DEK")
    yield ("import", FIRST_TMK, "--usage", "TMK", *owner, "--cryptogram", tmk)


def _keep(stage: Stage, *arguments: str) -> None:
    run("key", *arguments, "--config", str(stage.folder / "switch.yaml"))


def _invite(stage: Stage, kiosk: str, tpk: str) -> None:
    folder = stage.kiosk(kiosk)
    folder.mkdir()
    run(
        "terminal",
        "invite",
        TERMINAL_IDS[kiosk],
        "--hospital",
        HOSPITAL,
        "--tpk",
        tpk,
        "--dir",
        str(stage.pki),
        "--code-file",
        str(folder / "code.json"),
    )


def switch_settings(stage: Stage, terminals: Iterable[tuple[str, str]], dek: str) -> dict[str, Any]:
    """The switch's configuration as ``yyt conf check`` reads it."""
    ports = stage.ports
    return {
        "node": {"name": "demo", "data_dir": str(stage.folder), "log_level": "info"},
        "journal": {
            "data": str(stage.postgres),
            "queue_limit": 2_000,
            "batch_limit": 200,
            "read_queue_limit": 500,
            "lease_ms": 6_000,
            "lease_renew_ms": 1_500,
            "connect_timeout_ms": 10_000,
            "statement_timeout_ms": 10_000,
            "retry_max_ms": 1_000,
        },
        "hsm": {"plugin": "payshield", "settings": _hsm_settings(ports, dek)},
        "hospitals": [
            {
                "id": HOSPITAL,
                "name": HOSPITAL_NAME,
                "plugin": "soap",
                "settings": _his_settings(ports),
            }
        ],
        "channels": [
            {
                "name": "demo-bank",
                "plugin": "iso8583",
                "settings": _bank_settings(stage, terminals),
            }
        ],
        "routes": [
            {
                "hospital": HOSPITAL,
                "business": "outpatient_bill",
                "medium": "bank_card",
                "channel": "demo-bank",
            }
        ],
        "fronts": [{"name": "kiosks", "plugin": "kiosk", "settings": _front_settings(stage)}],
        "limits": {
            "payments_in_flight": 500,
            "answer_wait_ms": 25_000,
            "payment_deadline_ms": 60_000,
            "recovery_every_ms": 2_000,
            "recovery_batch": 100,
            "stop_wait_ms": 2_000,
        },
        "metrics": {"host": "127.0.0.1", "port": ports.metrics},
    }


def _hsm_settings(ports: Ports, dek: str) -> dict[str, Any]:
    return {
        "addresses": [f"tcp:127.0.0.1:{ports.hsm}"],
        "connections": 2,
        "timeout_ms": 2_000,
        "connect_timeout_ms": 2_000,
        "in_flight_limit": 256,
        "waiting_limit": 1_000,
        "reconnect_first_ms": 100,
        "reconnect_ceiling_ms": 1_000,
        "echo_interval_ms": 5_000,
        "silence_ms": 1_000,
        "header_length": 4,
        "lmk_id": "",
        "dek": dek,
    }


def _his_settings(ports: Ports) -> dict[str, Any]:
    return {
        "profile": "demo-h1",
        "url": f"http://127.0.0.1:{ports.his}/his",
        "level": "L3",
        "site": {"operator": "ZZJ001"},
        "connections": 32,
        "inquiries_limit": 8,
        "connect_timeout_ms": 2_000,
        "idle_ms": 10_000,
        "queue_limit": 500,
        "queue_wait_ms": 5_000,
        "breaker": {"failures": 20, "open_ms": 2_000},
    }


def _bank_settings(stage: Stage, terminals: Iterable[tuple[str, str]]) -> dict[str, Any]:
    return {
        "dialect": "cup-pos",
        "links": [{"mode": "client", "host": "127.0.0.1", "port": stage.ports.bank}],
        "terminals": [
            {
                "merchant": MERCHANT,
                "terminal": terminal,
                "clearing": "outpatient",
                "tmk": tmk,
                "in_flight": IN_FLIGHT_PER_TERMINAL,
            }
            for terminal, tmk in terminals
        ],
        "pin_required": True,
        "cutover": "23:00",
        "connect_timeout_ms": 2_000,
        "reconnect_first_ms": 200,
        "reconnect_ceiling_ms": 2_000,
        "response_timeout_ms": stage.response_timeout_ms,
        "echo_idle_ms": 10_000,
        "echo_timeout_ms": 3_000,
        "sign_on_retry_ms": 1_000,
        "frame_limit_bytes": 4_096,
        "frame_timeout_ms": 2_000,
        "in_flight_limit": 64,
        "queue_limit": 256,
        "queue_wait_ms": 2_000,
        "terminal_share_ms": 500,
        "stan_block": 200,
        "expired_limit": 2_000,
        "max_wrong_macs": 3,
        "key_max_age_ms": 86_400_000,
        "clock_skew_alarm_ms": 300_000,
        "not_found_waits_ms": list(stage.not_found_waits_ms),
        "undo": {"ladder": ["reversal", "void"]},
        "reversal_waits_ms": [500, 1_000, 2_000, 5_000],
        "trace": {"directory": str(stage.folder / "trace"), "files": 4, "bytes": 1_000_000},
        "settlement": {"deadline_ms": 60_000, "waits_ms": [1_000, 5_000], "tries": 3},
    }


def _front_settings(stage: Stage) -> dict[str, Any]:
    return {
        "bind": "127.0.0.1",
        "port": stage.ports.kiosk,
        "enrol_port": stage.ports.enrol,
        "pki": str(stage.pki),
        "businesses": {"outpatient_bill": {"title": "门诊缴费", "clearing": "outpatient"}},
        "connections_max": 64,
        "handshake_timeout_ms": 5_000,
        "silence_timeout_ms": 30_000,
        "terminal_timeout_ms": 50_000,
        "heartbeat_ms": 10_000,
        "finish_timeout_ms": 10_000,
        "finish_ask_times": 5,
        "finish_ask_wait_ms": 1_000,
        "message_bytes_max": 65_536,
        "in_flight_max": 256,
        "outgoing_bytes_max": 1_048_576,
        "registry_check_ms": 2_000,
        "enrol_connections_max": 8,
        "enrol_timeout_ms": 10_000,
        "enrol_tries_per_minute": 30,
    }


def agent_settings(stage: Stage, kiosk: str) -> dict[str, Any]:
    """A kiosk's configuration."""
    folder = stage.kiosk(kiosk)
    cards_file = folder / "cards.yaml"
    write_yaml(cards_file, {"cards": cards.in_the_hand()})
    pad = str(stage.outside / f"pad-{kiosk}.hex")
    return {
        "terminal": TERMINAL_IDS[kiosk],
        "journal": str(folder / "journal.db"),
        "switch": {
            "url": f"wss://127.0.0.1:{stage.ports.kiosk}/kiosk",
            "pki": str(folder / "pki"),
            "connect_timeout_ms": 3_000,
            "reconnect_min_ms": 200,
            "reconnect_max_ms": stage.kiosk_reconnect_max_ms,
            "request_timeout_ms": 30_000,
            "message_bytes_max": 65_536,
            "in_flight_max": 128,
        },
        "payment": {
            "resend_timeout_ms": 20_000,
            "resend_wait_ms": 500,
            "query_interval_ms": 1_000,
            "patient_wait_ms": 60_000,
        },
        "control": {"bind": "127.0.0.1", "port": stage.ports.control(kiosk)},
        "devices": {
            "card_reader": {"driver": "simulator", "options": {"cards": str(cards_file)}},
            "pin_pad": {"driver": "simulator", "options": {"key_file": pad}},
            "printer": {"driver": "simulator", "options": {"folder": str(folder / "slips")}},
            "timeout_ms": 5_000,
        },
        "receipt": {"hospital_name": HOSPITAL_NAME, "columns": 32},
    }


def write_yaml(path: Path, content: Any) -> None:
    """``content`` as a file, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
