"""The canaries' stage with the key service's whole chain: components, a ZMK, recorded wires."""

import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg2
from msgspec.structs import replace

from hsm import console, layouts, primitives
from hsm.address import parse_address
from hsm.keys import parse_cryptogram, wrap
from hsm.lmk import published_test_lmk
from hsm.testing import wrap_test_key
from switch.demo import programs, stage
from switch.demo.cards import EXPIRY
from switch.demo.processes import Program
from switch.store.embedded import embedded_dsn
from tests.canary import page, scanner
from tests.canary.bench import PAGE_PAN, PIN, SPARED, CanaryRig, edited, fetched
from tests.canary.recorder import Recorder
from tests.crash.rig import READY_S

SECOND = stage.LOGICAL_TERMINALS[1]
COMPONENTS = 3


class ChainRig(CanaryRig):
    """The bank's ZMK comes in three components, a TMK under it; the HSM keeps an audit log and
    shows metrics; what the switch says to HSM and bank is on tape."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hsm_metrics_port = _free_port()
        self.programs = _Programs(self.stage, self.hsm_audit, self.hsm_metrics_port)
        ports = self.stage.ports
        self.to_hsm = Recorder(self.traffic / "hsm", ports.hsm)
        self.to_bank = Recorder(self.traffic / "bank", ports.bank)

    @property
    def traffic(self) -> Path:
        """The tapes."""
        return self.folder / "traffic"

    @property
    def hsm_audit(self) -> Path:
        """The daemon's audit log."""
        return self.folder / "hsm-audit"

    def start(self) -> None:
        """The kiosk with a page as well."""
        super().start()
        self.supervisor.start([self.programs.page_kiosk()], READY_S)
        self.kiosks = stage.ALL_KIOSKS

    def stop(self) -> None:
        """The wires too."""
        super().stop()
        self.to_hsm.stop()
        self.to_bank.stop()

    def make_outside(self) -> None:
        """The custodians' components of the bank's ZMK."""
        super().make_outside()
        for number in range(1, COMPONENTS + 1):
            text = primitives.odd_parity(secrets.token_bytes(16)).hex().upper()
            (self.stage.outside / f"component-{number}.hex").write_text(text, "ascii")

    def make_inside(self) -> None:
        """The ZMK from its components (A4), a terminal's TMK from under it (A6), both into the key
        store; the switch over the recorded wires."""
        super().make_inside()
        page.make_inside(self.stage)
        kiosk = self.stage.kiosk(stage.PAGE_KIOSK)
        with edited(kiosk / "cards.yaml") as hand:
            card = {"id": "page", "pan": PAGE_PAN, "expiry": EXPIRY, "pin": PIN}
            hand["cards"].append(card)
        with edited(kiosk / "agent.yaml") as settings:
            settings["flows"]["attendant_code_file"] = str(kiosk / "attendant.code")
        config = self.stage.folder / "switch.yaml"
        address = f"tcp:127.0.0.1:{self.to_hsm.port}"
        with edited(config) as settings:
            settings["hsm"]["settings"]["addresses"] = [address]
            bank = settings["channels"][0]["settings"]
            bank["links"][0]["port"] = self.to_bank.port
            bank["terminals"][1]["tmk"] = "key:under-zmk"
        parts = {
            f"component_{number}": parse_cryptogram(wrap_test_key("000", part.hex()))
            for number, part in enumerate(self._components(), 1)
        }
        asked = {"components": str(COMPONENTS), "key_type": "000", "scheme_lmk": "U", **parts}
        formed = console.ask(parse_address(address), layouts.COMMANDS["A4"], asked)
        tmk = bytes.fromhex((self.stage.outside / f"tmk-{SECOND}.hex").read_text("ascii"))
        under_zmk = wrap(self._zmk(), "X", primitives.odd_parity(tmk))
        owner = ("--bank", "demo-bank", "--merchant", stage.MERCHANT, "--terminal", SECOND)
        to = ("--config", str(config))
        stage.run("key", "import", "zmk", "--usage", "ZMK", "--bank", "demo-bank",
                  "--cryptogram", str(formed["key_lmk"]), *to)  # fmt: skip
        stage.run("key", "import", "under-zmk", "--usage", "TMK", *owner, "--under", "key:zmk",
                  "--cryptogram", str(under_zmk), "--check-value",
                  primitives.check_value(tmk).hex().upper()[:6], *to)  # fmt: skip

    def _components(self) -> list[bytes]:
        files = sorted(self.stage.outside.glob("component-*.hex"))
        return [bytes.fromhex(file.read_text("ascii")) for file in files]

    def _zmk(self) -> bytes:
        return primitives.odd_parity(_xor(*self._components()))

    def learn(self) -> None:
        """Besides: the ZMK, what its components give two and two, and the vault's key, which only
        the HSM ever had in the clear."""
        super().learn()
        page.learn(self.known)
        self.learn_clear("ZMK", key=self._zmk().hex())
        one, two, three = self._components()
        for name, half in (("1+2", _xor(one, two)), ("1+3", _xor(one, three)),
                           ("2+3", _xor(two, three))):  # fmt: skip
            self.learn_clear(f"components {name}", key=half.hex())
        with closing(psycopg2.connect(embedded_dsn(self.stage.postgres))) as session:
            with session.cursor() as cursor:
                cursor.execute("SELECT held FROM stored_key WHERE name = 'vault'")
                (held,) = cursor.fetchone()
        cryptogram = parse_cryptogram(held.partition("%")[0])
        dek = published_test_lmk().unwrap("00B", cryptogram)
        self.learn_clear("DEK", key=dek.hex())

    # ---- places ----------------------------------------------------------------------------------

    def places(self) -> Iterator[tuple[str, bytes]]:
        """As before, and the daemon's metrics; not the tapes: a bank is told card numbers."""
        yield "hsm /metrics", fetched(f"http://127.0.0.1:{self.hsm_metrics_port}/metrics")
        yield from self.pages()
        yield from self.tables()
        yield from scanner.processes(self.supervisor.pids())
        yield from scanner.files(self.folder, (*SPARED, "traffic"))

    def tapes(self) -> Iterator[tuple[str, bytes]]:
        """What went over the wires."""
        yield from scanner.files(self.traffic, ())

    def memory(self, name: str) -> Iterator[tuple[str, bytes]]:
        """What a core dump of a process would hold. PermissionError: it is protected from us."""
        yield from scanner.memory(name, self.supervisor.pids()[name])

    def status(self, name: str) -> Mapping[str, str]:
        """What the kernel says of a process."""
        text = Path(f"/proc/{self.supervisor.pids()[name]}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines())


class _Programs(programs.Programs):
    """The HSM with an audit log and metrics."""

    def __init__(self, on: stage.Stage, audit: Path, metrics_port: int) -> None:
        super().__init__(on, load=0)
        self._more = ("--audit", str(audit), "--metrics-port", str(metrics_port))

    def _hsm(self) -> Program:
        plain = super()._hsm()
        return replace(plain, argv=plain.argv + self._more)


def _xor(*keys: bytes) -> bytes:
    number = 0
    for key in keys:
        number ^= int.from_bytes(key, "big")
    return number.to_bytes(len(keys[0]), "big")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])


def is_root() -> bool:
    """Whether we may read what is protected from everybody else."""
    return os.geteuid() == 0
