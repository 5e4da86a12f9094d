"""What must fit together between sections: names, capabilities, and who waits for whom.

Sections of plugins offer what is asked here, each where it has something to say:

- any: ``longest_ms() -> int``, the sum of the timeouts of the exchanges it makes for one payment (a
  front: those with its terminals, that finish a card), and ``listens_on()``, (path, host, port) of
  the ports that it listens on;
- channels and hospitals: ``operations() -> frozenset[str]``, what the bank, or the hospital beyond
  bills, can be asked (switch.model.operation);
- channels: ``clearings() -> frozenset[str]``, the merchant roles in which it has terminals for
  everybody, and ``pass_through() -> frozenset[str]``, those in which terminals are dedicated to
  kiosks;
- fronts: ``asks_for() -> tuple[Ask, ...]``, what its terminals may ask for;
  ``terminal_timeout_ms``, how long they wait; ``books_at() -> frozenset[str]``, the hospitals that
  book its payments: they take no route, and last as long as a hospital's ``booking_ms() -> int``
  says.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from switch.catalogue import BUSINESSES, CHANNEL_KINDS, Business, operation_of
from switch.engine.bounds import Route
from switch.model.payment import LegKind
from switch.plugins import Group, PluginError, find, require
from switch.settings.asks import unserved
from switch.settings.document import Mapping, Problem, problem_at
from switch.settings.hooks import NOT_SAID, told
from switch.settings.listeners import collisions
from switch.settings.schema import Front, Hospital, Settings
from switch.store.errors import StartRefused
from switch.store.settings import resolve_dsn

LEG_NEEDS = {
    LegKind.HOLD: "hold",
    LegKind.DEBIT: "purchase",
    LegKind.BOOK: "confirm",
    LegKind.UNBOOK: "cancel",
    LegKind.CREDIT: "refund",
}
"""Capability that a leg asks of whoever does it. How it is undone is the policy that the plugin
states with it."""


def crosscheck(settings: Settings, root: Mapping) -> list[Problem]:
    """The first mistake of every section that is right by itself but does not fit the others."""
    checks: dict[str, Iterator[Problem]] = {
        "journal": _journal(settings, root),
        "hospitals": _twice(root, "hospitals", [entry.id for entry in settings.hospitals]),
        "channels": _twice(
            root, "channels", [entry.name for entry in settings.channels], names_taken(settings)
        ),
        "routes": _routes(settings, root),
        "fronts": chain(_fronts(settings, root), unserved(settings, root)),
        "listeners": collisions(settings, root),
    }
    return [problem for found in checks.values() if (problem := next(found, None)) is not None]


def _journal(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """An open password in the DSN; a reference is only read when the switch starts."""
    dsn = settings.journal.dsn
    if dsn and not dsn.startswith(("file:", "env:")):
        try:
            resolve_dsn(dsn)
        except StartRefused as refused:
            place = root.items["journal"].place
            yield Problem(place.file, place.line, "journal.dsn", str(refused))


def names_taken(settings: Settings) -> frozenset[str]:
    """Names of counterparties other than channels and fronts; a leg names its counterparty by name
    alone."""
    return frozenset({"terminal", *(hospital.id for hospital in settings.hospitals)})


def _twice(
    root: Mapping, section: str, given: Iterable[str], taken: frozenset[str] = frozenset()
) -> Iterator[Problem]:
    seen = set(taken)
    for index, name in enumerate(given):
        if name in seen:
            yield problem_at(root, f"the name {name!r} is taken already", section, index)
        seen.add(name)


def _routes(settings: Settings, root: Mapping) -> Iterator[Problem]:
    hospitals = {entry.id: entry for entry in settings.hospitals}
    channels = {entry.name: entry for entry in settings.channels}
    seen: set[tuple[str, ...]] = set()
    for index, route in enumerate(settings.routes):
        hospital, channel = hospitals.get(route.hospital), channels.get(route.channel)
        business = BUSINESSES.get(route.business)
        what = (route.hospital, route.business, route.medium)
        whose = {(*what, prefix) for prefix in route.bins or ("",)}
        if hospital is None:
            text = f"no hospital {route.hospital!r}"
            yield problem_at(root, text, "routes", index, "hospital")
        elif channel is None:
            text = f"no channel {route.channel!r}"
            yield problem_at(root, text, "routes", index, "channel")
        elif business is None:
            text = f"no business {route.business!r} ({', '.join(BUSINESSES)})"
            yield problem_at(root, text, "routes", index, "business")
        elif route.medium not in business.media:
            text = f"{route.business} is not paid by {route.medium!r} ({', '.join(business.media)})"
            yield problem_at(root, text, "routes", index, "medium")
        elif not any(kind in CHANNEL_KINDS for kind in business.legs):
            text = f"{route.business} moves no money through a channel: it needs no route"
            yield problem_at(root, text, "routes", index, "business")
        elif business.original is not None:
            text = f"{route.business} goes the way of its original: it needs no route"
            yield problem_at(root, text, "routes", index, "business")
        elif twice := sorted(whose & seen):
            text = f"a second route for {' '.join(twice[0]).rstrip()}"
            yield problem_at(root, text, "routes", index)
        else:
            yield from _capabilities(root, index, channel.plugin, hospital.plugin, business)
            yield from _offered(root, index, route, channel.settings, business)
            yield from _booked(root, index, hospital, business)
            yield from _collected(root, index, route, channel.settings, business)
        seen |= whose


def _offered(
    root: Mapping, index: int, route: Route, channel_settings: Any, business: Business
) -> Iterator[Problem]:
    """What the business asks of the bank must be an operation of the channel's dialect."""
    operations = told(channel_settings, "operations", NOT_SAID)
    wanted = operation_of(business, route.medium, None)
    if operations is not None and wanted not in operations:
        text = f"{route.channel} has no operation {wanted} ({', '.join(sorted(operations))})"
        yield problem_at(root, text, "routes", index, "channel")


def _booked(root: Mapping, index: int, hospital: Hospital, business: Business) -> Iterator[Problem]:
    """A business that is booked in a way of its own needs a hospital that offers it."""
    operations = told(hospital.settings, "operations", NOT_SAID)
    wanted = business.booking
    if wanted is not None and operations is not None and wanted not in operations:
        text = f"the profile of {hospital.id} has no function {wanted}"
        yield problem_at(root, text, "routes", index, "business")


def _collected(
    root: Mapping, index: int, route: Route, channel_settings: Any, business: Business
) -> Iterator[Problem]:
    """Somebody must collect the money: a logical terminal of the merchant role. A bank's own PIN
    key sits in a kiosk only where one is dedicated to it; under the shared key PIN blocks go by the
    others."""
    own = told(channel_settings, "pass_through", frozenset[str]())
    clearing = route.clearing or business.clearing
    if route.pin == "pass_through":
        if clearing not in own:
            text = f"{route.channel} has no terminal with a kiosk of its own in {clearing!r}"
            yield problem_at(root, text, "routes", index, "pin")
        return
    shared = told(channel_settings, "clearings", NOT_SAID)
    if shared is None or clearing in shared:
        return
    if clearing not in own:
        text = f"{route.channel} has no terminal of clearing {clearing!r}"
        yield problem_at(root, text, "routes", index, "clearing")
    elif route.medium == "bank_card":
        text = f"every terminal of {route.channel} in {clearing!r} has a kiosk of its own: "
        yield problem_at(root, f"{text}none is for pin translate", "routes", index, "pin")


def _capabilities(
    root: Mapping, index: int, channel_plugin: str, his_plugin: str, business: Business
) -> Iterator[Problem]:
    channel_needs = {LEG_NEEDS[kind] for kind in business.legs if kind in CHANNEL_KINDS}
    his_needs = {
        LEG_NEEDS[kind] for kind in business.legs if kind in LEG_NEEDS and kind not in CHANNEL_KINDS
    }
    try:
        require(find(Group.CHANNELS, channel_plugin), channel_needs, business.name)
        require(find(Group.HIS, his_plugin), his_needs, business.name)
    except PluginError as error:
        yield problem_at(root, str(error), "routes", index)


def _fronts(settings: Settings, root: Mapping) -> Iterator[Problem]:
    taken = names_taken(settings) | {entry.name for entry in settings.channels}
    yield from _twice(root, "fronts", [entry.name for entry in settings.fronts], taken)
    hospitals = {entry.id for entry in settings.hospitals}
    for index, front in enumerate(settings.fronts):
        if unknown := sorted(told(front.settings, "books_at", frozenset[str]()) - hospitals):
            text = f"no hospital {unknown[0]!r}"
            yield problem_at(root, text, "fronts", index, "settings", "terminals")
            continue
        waits_ms = getattr(front.settings, "terminal_timeout_ms", None)
        longest_ms, sum_text = _longest_payment(settings, front)
        if waits_ms is not None and waits_ms < longest_ms:
            text = (
                f"{waits_ms} is shorter than the exchanges of one payment may take together: "
                f"{longest_ms} ({sum_text})"
            )
            yield problem_at(root, text, "fronts", index, "settings", "terminal_timeout_ms")
        if waits_ms is not None and settings.limits.answer_wait_ms >= waits_ms:
            text = f"{waits_ms}: limits.answer_wait_ms must be shorter, an answer later is not told"
            yield problem_at(root, text, "fronts", index, "settings", "terminal_timeout_ms")


def _longest_payment(settings: Settings, front: Front) -> tuple[int, str]:
    """The front's payment whose exchanges may take longest in all, and how its sum is made."""
    books_at = told(front.settings, "books_at", frozenset[str]())
    bookings = [
        (ms := told(entry.settings, "booking_ms", 0), f"{entry.id} {ms}")
        for entry in settings.hospitals
        if entry.id in books_at
    ]
    longest_ms, text = max(bookings) if books_at else _longest_route(settings)
    own_ms = told(front.settings, "longest_ms", 0)
    return longest_ms + own_ms, f"{text} + {front.name} {own_ms}" if own_ms else text


def _longest_route(settings: Settings) -> tuple[int, str]:
    """The route whose exchanges may take longest in all, and how its sum is made."""
    hospitals = {entry.id: told(entry.settings, "longest_ms", 0) for entry in settings.hospitals}
    channels = {entry.name: told(entry.settings, "longest_ms", 0) for entry in settings.channels}
    sums = []
    for route in settings.routes:
        parts = {route.channel: channels.get(route.channel, 0)}
        business = BUSINESSES.get(route.business)  # one that is none is told by its route
        if business is None or any(kind not in CHANNEL_KINDS for kind in business.legs):
            parts[route.hospital] = hospitals.get(route.hospital, 0)
        text = " + ".join(f"{name} {longest_ms}" for name, longest_ms in parts.items())
        sums.append((sum(parts.values()), text))
    return max(sums)
