"""Ports that this process listens on: each belongs to one listener, or it does not start."""

from collections.abc import Iterator

from msgspec import Struct

from switch.settings.document import Mapping, Problem, problem_at
from switch.settings.hooks import told
from switch.settings.schema import Settings

_EVERY_HOST = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, nothing is bound
"""A socket on ``::`` takes IPv4 too."""
_NOWHERE: tuple[tuple[tuple[str | int, ...], str, int], ...] = ()
_SECTIONS = ("hospitals", "channels", "fronts")


class Listener(Struct, frozen=True):
    """``path`` leads to the key that says the port."""

    path: tuple[str | int, ...]
    host: str
    port: int

    def collides(self, other: "Listener") -> bool:
        """Port 0 is any free one."""
        if not self.port or self.port != other.port:
            return False
        return self.host == other.host or bool({self.host, other.host} & _EVERY_HOST)


def collisions(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Listeners whose port another one has, told at the later one."""
    seen: list[Listener] = []
    for one in _listeners(settings):
        other = next(filter(one.collides, seen), None)
        if other is not None:
            where = f"{problem_at(root, '', *other.path).path} listens on {other.host}"
            yield problem_at(root, f"{one.port} on {one.host} is taken: {where}", *one.path)
        seen.append(one)


def _listeners(settings: Settings) -> Iterator[Listener]:
    for section in _SECTIONS:
        for index, entry in enumerate(getattr(settings, section)):
            for path, host, port in told(entry.settings, "listens_on", _NOWHERE):
                yield Listener((section, index, "settings", *path), host, port)
    yield Listener(("metrics", "port"), settings.metrics.host, settings.metrics.port)
