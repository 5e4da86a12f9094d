"""A whole agent in this process, on a clock that is not real, everything around it in memory."""

import time
from pathlib import Path

from terminal_agent.app import Agent
from terminal_agent.bench import folder as files
from terminal_agent.bench.fast_reactor import FastReactor
from terminal_agent.bench.joined_link import JoinedLink
from terminal_agent.bench.page_reader import PageReader
from terminal_agent.bench.patient import Patient
from terminal_agent.bench.stand_in import StandIn
from terminal_agent.config import load


class JoinedKiosk:
    """Built in ``folder``, not started. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.reactor = FastReactor()
        self.stand_in = StandIn()
        self.line = JoinedLink(self.reactor, self.stand_in)
        files.make(folder)
        born_ms = int(time.time() * 1000)
        self.agent = Agent(
            load(files.configure(folder, in_memory=True)),
            self.reactor,
            now_ms=lambda: born_ms + int(self.reactor.seconds() * 1000),
            connect=self.line.connect,
        )

    def patient(self, think_ms: int, away_ms: int) -> Patient:
        """Whoever comes to the started kiosk's page; ``away_ms``: how long a line that is cut
        stays away."""
        return Patient(
            self.reactor,
            self._reader("/kiosk/ws"),
            self._reader("/panel/ws"),
            think_ms=think_ms,
            cut_line=lambda: self.line.cut(away_ms),
        )

    def _reader(self, path: str) -> PageReader:
        site = self.agent.page
        assert site is not None
        assert site.panel is not None
        club = site.kiosk if path.startswith("/kiosk") else site.panel
        reader = PageReader(self.reactor, site.port, path, club.token)
        self.reactor.join(site.port, reader)
        return reader
