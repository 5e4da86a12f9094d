"""What sections of plugins say of themselves: each by a method that it may have or not."""

from typing import Any, TypeVar

T = TypeVar("T")

NOT_SAID: frozenset[str] | None = None
"""For sets of names: one that is not said takes everything, an empty one nothing."""


def told(section: Any, hook: str, nothing: T) -> T:
    """What a section says by its method ``hook``; ``nothing`` where it has no such method.

    >>> told(object(), "longest_ms", 0)
    0
    """
    say = getattr(section, hook, None)
    if say is None:
        return nothing
    said: T = say()
    return said
