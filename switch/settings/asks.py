"""Whether somebody takes the money of what terminals may ask for: hospital, route, operation and
merchant role of each :class:`switch.model.ask.Ask` of a front."""

from collections.abc import Iterator
from collections.abc import Mapping as Table
from typing import Any

from switch.catalogue import BUSINESSES
from switch.engine.bounds import Route
from switch.model.ask import Ask
from switch.settings.document import Mapping, Problem, problem_at
from switch.settings.hooks import NOT_SAID, told
from switch.settings.schema import Settings


def unserved(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Asks that could only ever be refused."""
    hospitals = {entry.id for entry in settings.hospitals}
    channels = {entry.name: entry.settings for entry in settings.channels}
    for index, front in enumerate(settings.fronts):
        for ask in told(front.settings, "asks_for", tuple[Ask, ...]()):
            at = ("fronts", index, "settings", *ask.path)
            if ask.hospital and ask.hospital not in hospitals:
                yield problem_at(root, f"no hospital {ask.hospital!r}", *at, "hospital")
            elif ask.business not in BUSINESSES:
                text = f"no business {ask.business!r} ({', '.join(BUSINESSES)})"
                yield problem_at(root, text, *at)
            else:
                yield from _unserved(settings, root, ask, at, channels)


def _unserved(
    settings: Settings,
    root: Mapping,
    ask: Ask,
    at: tuple[str | int, ...],
    channels: Table[str, Any],
) -> Iterator[Problem]:
    paid_as = _paid_as(ask.business)
    routes = [
        route
        for route in settings.routes
        if route.business in paid_as
        and ask.hospital in ("", route.hospital)
        and ask.medium in ("", route.medium)
    ]
    what = f"{ask.operation}: " if ask.operation is not None else ""
    if not routes:
        way = " ".join(filter(None, (ask.hospital, *sorted(paid_as), ask.medium)))
        yield problem_at(root, f"{what}no route for {way}", *at, "operations")
    elif not any(_offers(channels.get(route.channel), ask) for route in routes):
        text = f"{what}not an operation of {_names(routes)}"
        yield problem_at(root, text, *at, "operations")
    elif not any(_collects(channels.get(route.channel), route, ask) for route in routes):
        roles = sorted({_clearing(route, ask) for route in routes})
        text = f"no terminal of {_names(routes)} is of clearing {', '.join(map(repr, roles))}"
        yield problem_at(root, text, *at, "clearing")


def _paid_as(business: str) -> frozenset[str]:
    """The businesses that have routes: itself, or those whose payments it refers to.

    >>> sorted(_paid_as("pos_completion_void"))
    ['pos_preauth']
    """
    original = BUSINESSES[business].original
    if original is None:
        return frozenset({business})
    return frozenset().union(*map(_paid_as, original.businesses))


def _offers(channel: Any, ask: Ask) -> bool:
    operations = told(channel, "operations", NOT_SAID)
    return ask.operation is None or operations is None or ask.operation in operations


def _collects(channel: Any, route: Route, ask: Ask) -> bool:
    shared = told(channel, "clearings", NOT_SAID)
    own = told(channel, "pass_through", frozenset[str]()) if ask.kiosks else frozenset[str]()
    return shared is None or _clearing(route, ask) in shared | own


def _clearing(route: Route, ask: Ask) -> str:
    return ask.clearing or route.clearing or BUSINESSES[route.business].clearing


def _names(routes: list[Route]) -> str:
    return ", ".join(sorted({route.channel for route in routes}))
