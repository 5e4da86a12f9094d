"""What the page asks of the flows."""

from collections.abc import Callable
from typing import Protocol

from terminal_agent.flows.view import Tap, View


class Stage(Protocol):
    """What is played, and who watches. All on the reactor's thread."""

    def view(self) -> View:
        """What is to be seen now."""
        ...

    def watch(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` after every change of the view, for ever."""
        ...

    def tapped(self, tap: Tap) -> None:
        """A finger; one made on a view that is no longer shown does nothing."""
        ...
