"""Which commands are counted and which stand singly."""

import pytest

from hsm.audit import policy
from hsm.audit.record import Event


def test_what_verifies_is_counted_too() -> None:
    """Else a good verification would make a record each."""
    assert policy.VERIFYING <= policy.COUNTED


@pytest.mark.parametrize("command", sorted(policy.EVENTS))
def test_key_management_is_never_only_counted(command: str) -> None:
    """Each has a name that a record may bear, and reaches the disk before its answer."""
    what = policy.EVENTS[command]

    assert command not in policy.COUNTED
    assert what not in policy.SYNCED_LATER
    assert Event(what=what, who=("bank",)).what == what


@pytest.mark.parametrize("what", sorted(policy.SYNCED_LATER))
def test_names_of_bounded_events_are_names(what: str) -> None:
    """They can be written."""
    assert Event(what=what, who=("bank",)).what == what
