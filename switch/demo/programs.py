"""The demo's processes: their command lines, their addresses, and how one sees that they are up."""

import socket
import urllib.error
import urllib.request
from collections.abc import Callable

from switch.demo.cards import LOAD_CARDS
from switch.demo.processes import Program
from switch.demo.stage import ALL_KIOSKS, KIOSKS, PAGE_KIOSK, Stage, command
from switch.store.embedded import embedded_dsn, wait_ready
from switch.store.errors import EmbeddedError

PROBE_S = 1
FIRST = ("nice", "-n", "-10")
"""As yyt-switch.service has it: everyone waits for the switch, so it goes before the others on a
machine they share. Where that is not allowed ``nice`` says so and starts it all the same."""


def http_addresses(stage: Stage, kiosks: tuple[str, ...] = ALL_KIOSKS) -> dict[str, str]:
    """Process → its loopback HTTP address; ``kiosks``: those that run."""
    ports = stage.ports
    addresses = {"bank": ports.bank_http, "his": ports.his_http, "switch": ports.metrics}
    addresses.update({kiosk: ports.control(kiosk) for kiosk in kiosks})
    return {name: f"http://127.0.0.1:{port}" for name, port in addresses.items()}


class Programs:
    """All of them, for one stage. ``load``: payments a second, shared by the kiosks."""

    def __init__(self, stage: Stage, load: int) -> None:
        self._stage = stage
        self._load = load
        self._http = http_addresses(stage)

    def foundation(self) -> list[Program]:
        """What needs nothing of the others: postgres, hsm, bank, his."""
        return [self._postgres(), self._hsm(), self._bank(), self._his()]

    def switch(self) -> Program:
        """The switch; up once its health page says so (journal, HSM, bank link, hospital)."""
        return Program(
            name="switch",
            argv=FIRST + command("switch", "--config", str(self._stage.folder / "switch.yaml")),
            addresses=lambda: {
                "http": self._http["switch"],
                "kiosks": f"wss://127.0.0.1:{self._stage.ports.kiosk}/kiosk",
            },
            ready=_answers(f"{self._http['switch']}/health"),
        )

    def kiosks(self) -> list[Program]:
        """The two scripted kiosks; up once linked to the switch."""
        return [self._kiosk(name, index) for index, name in enumerate(KIOSKS)]

    def page_kiosk(self) -> Program:
        """The kiosk with a page for the visitor."""
        config = str(self._stage.kiosk(PAGE_KIOSK) / "agent.yaml")
        page = f"http://127.0.0.1:{self._stage.ports.page}/demo"
        return Program(
            name=PAGE_KIOSK,
            argv=command("agent", "--config", config),
            addresses=lambda: {"http": self._http[PAGE_KIOSK], "page": page},
            ready=_answers(f"{self._http[PAGE_KIOSK]}/health"),
        )

    def _kiosk(self, name: str, index: int) -> Program:
        config = str(self._stage.kiosk(name) / "agent.yaml")
        argv = command("agent", "--config", config)
        rate = (self._load + (1 - index)) // 2
        if rate:
            chosen = ",".join(LOAD_CARDS)
            load = ("--rate", str(rate), "--seconds", "0", "--cards", chosen)
            argv = command("agent", "load", "--config", config, *load)
        return Program(
            name=name,
            argv=argv,
            addresses=lambda: {"http": self._http[name]},
            ready=_answers(f"{self._http[name]}/health"),
        )

    def _postgres(self) -> Program:
        data = self._stage.postgres

        def ready() -> bool:
            try:
                wait_ready(embedded_dsn(data), PROBE_S)
            except EmbeddedError:
                return False
            return True

        def where() -> dict[str, str]:
            try:
                return {"dsn": embedded_dsn(data)}
            except EmbeddedError:
                return {}

        return Program(
            name="postgres",
            argv=command("journal", "serve", "--data", str(data), "--die-with-parent"),
            addresses=where,
            ready=ready,
        )

    def _hsm(self) -> Program:
        port = self._stage.ports.hsm
        listen = f"tcp:127.0.0.1:{port}"
        return Program(
            name="hsm",
            argv=command("hsm", "serve", "--test-lmk", "--listen", listen),
            addresses=lambda: {"hsm": listen},
            ready=listens(port),
        )

    def _bank(self) -> Program:
        stage = self._stage
        return Program(
            name="bank",
            argv=command(
                "bank", "simulate",
                "--listen", f"127.0.0.1:{stage.ports.bank}",
                "--http", str(stage.ports.bank_http),
                "--keys", str(stage.outside / "bank.yaml"),
                "--ledger", str(stage.folder / "bank.db"),
            ),
            addresses=lambda: {
                "http": self._http["bank"],
                "iso8583": f"127.0.0.1:{stage.ports.bank}",
            },
            ready=_answers(f"{self._http['bank']}/ledger"),
        )  # fmt: skip

    def _his(self) -> Program:
        stage = self._stage
        return Program(
            name="his",
            argv=command(
                "his", "simulate",
                "--listen", f"127.0.0.1:{stage.ports.his}",
                "--http", str(stage.ports.his_http),
                "--ledger", str(stage.folder / "his.db"),
            ),
            addresses=lambda: {
                "http": self._http["his"],
                "soap": f"http://127.0.0.1:{stage.ports.his}/his",
            },
            ready=_answers(f"{self._http['his']}/ledger"),
        )  # fmt: skip


def _answers(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    return ready


def listens(port: int) -> Callable[[], bool]:
    """Whether somebody listens on this port of the loopback address."""

    def ready() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), PROBE_S).close()
        except OSError:
            return False
        return True

    return ready
