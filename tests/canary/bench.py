"""The stage of the crash tests with canaries on it, and every place where one could sing."""

import secrets
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg2
import yaml

from hsm import primitives
from switch.demo import stage
from switch.demo.cards import EXPIRY
from switch.store.embedded import embedded_dsn
from tests.canary import scanner
from tests.crash.rig import Rig

PAN = "6225889917364502"
TAIL = "2018840271956"
TRACK2 = f"{PAN}={EXPIRY}{TAIL}"
PIN = "".join(secrets.choice("0123456789") for _ in range(12))
"""Another one in every run, of twelve digits: six could stand in a time stamp by chance."""
WRONG_PIN = PIN.translate(str.maketrans("0123456789", "5678901234"))
POOR_PAN = "6225889926481573"
CHIP_PAN = "6225889938205713"
PAGE_PAN = "6225889954871236"
"""A virtual chip card's, at the page kiosk."""
CHIP = f"5A08{CHIP_PAN}9F2608D1C2B3A4F5E6978895050000008000"

SPARED = (
    "demo/outside",  # what the bank's host and the pads hold
    "demo/bank.db*",  # the bank's own books, its working keys among them
    "demo/kiosk-*/cards.yaml",  # the simulated cards themselves
)


class CanaryRig(Rig):
    """``known`` learns each secret as soon as it exists; ``clear`` only what must not even go over
    a wire or through the switch's memory: keys and PINs that are not encrypted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.known = scanner.Scanner()
        self.clear = scanner.Scanner()

    def make_outside(self) -> None:
        """The bank knows the canary cards."""
        super().make_outside()
        with edited(self.stage.outside / "bank.yaml") as host:
            host["cards"] += [
                {"name": name, "pan": pan, "pin": PIN, "balance_fen": balance_fen}
                for name, pan, balance_fen in (
                    ("canary", PAN, 100_000_000),
                    ("poor", POOR_PAN, 1),
                    ("chip", CHIP_PAN, 100_000_000),
                )
            ]
            page = {"name": "page", "pan": PAGE_PAN, "pin": PIN, "balance_fen": 100_000_000}
            host["cards"].append({**page, "chip": True})

    def make_inside(self) -> None:
        """The kiosks' readers read them; the switch says all it can say."""
        super().make_inside()
        with edited(self.stage.folder / "switch.yaml") as settings:
            settings["node"]["log_level"] = "debug"
        for kiosk in stage.KIOSKS:
            with edited(self.stage.kiosk(kiosk) / "cards.yaml") as hand:
                track2 = {"canary": TRACK2, "poor": TRACK2.replace(PAN, POOR_PAN)}
                hand["cards"] += [
                    {"id": name, "pan": pan, "expiry": EXPIRY, "pin": PIN, **more}
                    for name, pan, more in (
                        ("canary", PAN, {"track2": track2["canary"]}),
                        ("poor", POOR_PAN, {"track2": track2["poor"]}),
                        ("chip", CHIP_PAN, {"chip": CHIP}),
                    )
                ]

    def learn(self) -> None:
        """All secrets there are by now; a sign-on brings new ones, so call it again."""
        learn = self.known.learn
        pans = {"PAN": PAN, "poor PAN": POOR_PAN, "chip PAN": CHIP_PAN, "page PAN": PAGE_PAN}
        for name, pan in pans.items():
            learn(name, digits=pan)
            learn(f"{name}, as PIN blocks have it", digits=primitives.account12(pan))
        learn("track 2", digits=TAIL)
        for name, pin in (("PIN", PIN), ("wrong PIN", WRONG_PIN)):
            self.learn_clear(name, digits=pin)
            for control in "02":  # no account (the Chinese kind, and before the XOR), ISO format 2
                block = f"{control}{len(pin):X}{pin}".ljust(16, "F")
                self.learn_clear(f"{name} with its fill", key=block)
        for path in self.stage.outside.glob("*.hex"):
            key = path.read_text("ascii").strip()
            self.learn_clear(path.stem, key=key)
            if path.stem.startswith("pad-"):
                self._learn_blocks(path.stem, bytes.fromhex(key))
        with closing(sqlite3.connect(self.stage.folder / "bank.db")) as bank:
            rows = bank.execute("SELECT terminal, pik, mak FROM working_key").fetchall()
        for terminal, pik, mak in rows:
            self.learn_clear(f"PIK of {terminal}", key=pik.hex())
            self.learn_clear(f"MAK of {terminal}", key=mak.hex())
            self._learn_blocks(f"PIK of {terminal}", pik)

    def learn_clear(self, name: str, *, digits: str = "", key: str = "") -> None:
        """For both scanners."""
        self.known.learn(name, digits=digits, key=key)
        self.clear.learn(name, digits=digits, key=key)

    def _learn_blocks(self, name: str, key: bytes) -> None:
        for pan in (PAN, POOR_PAN, CHIP_PAN, PAGE_PAN):
            for pin in (PIN, WRONG_PIN):
                clear = primitives.pin_block_0(pin, primitives.account12(pan))
                self.learn_clear("clear PIN block", key=clear.hex())
                under = primitives.ecb_encrypt(key, clear)
                self.known.learn(f"PIN block under {name}", key=under.hex())

    def pay(
        self, patient: str, *, kiosk: str = "kiosk-1", card: str = "canary", pin: str = PIN
    ) -> "Future[Any]":
        """As :meth:`Rig.pay`, by default with the canary's card."""
        return super().pay(patient, kiosk=kiosk, card=card, pin=pin)

    # ---- places ----------------------------------------------------------------------------------

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Everything that an operator, a backup or a thief of files could see."""
        yield from self.pages()
        yield from self.tables()
        yield from scanner.processes(self.supervisor.pids())
        yield from scanner.files(self.folder, SPARED)

    def pages(self) -> Iterator[tuple[str, bytes]]:
        """What the processes show over HTTP: metrics, health, ledgers, slips."""
        for name, address in self.addresses().items():
            for path in ("/metrics", "/health", "/ledger"):
                yield f"{name} {path}", fetched(f"{address}{path}")
        for kiosk in self.kiosks:
            for key in self.told(kiosk):
                yield f"{kiosk} slip {key}", fetched(f"{self.http[kiosk]}/receipts/{key}")

    def tables(self) -> Iterator[tuple[str, bytes]]:
        """Every row of every table, as text."""
        dsn = embedded_dsn(self.stage.postgres)
        with closing(psycopg2.connect(dsn)) as session, session.cursor() as cursor:
            cursor.execute("CHECKPOINT")  # what was in buffers is in the files now
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in cursor.fetchall():
                cursor.execute(f'SELECT t::text FROM "{table}" t')
                yield f"table {table}", "\n".join(row for (row,) in cursor).encode()


class edited:  # noqa: N801 - used as a statement
    """A YAML file, loaded on entry and written back on exit."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        self._content = yaml.safe_load(self._path.read_text("utf-8"))
        return self._content

    def __exit__(self, *error: object) -> None:
        self._path.write_text(yaml.safe_dump(self._content, allow_unicode=True), "utf-8")


def fetched(url: str) -> bytes:
    """Whatever it says, errors too."""
    try:
        with urlopen(url, timeout=20) as answer:
            return bytes(answer.read())
    except HTTPError as error:
        with error:
            return bytes(error.read())
