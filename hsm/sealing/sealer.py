"""Whatever can wrap the data key of a sealed file, and later give it back."""

from typing import Final, Protocol

from hsm.sealing.entries import Entry
from hsm.sealing.secret_buffer import SecretBuffer

DATA_KEY_BYTES: Final = 32


class Sealer(Protocol):
    """One way to open a sealed file. Calls block: a passphrase takes a second of work."""

    def wrap(self, data_key: SecretBuffer, bound: bytes) -> Entry:
        """The entry of this sealer. ``bound``: the head of the file, which it belongs to."""
        ...

    def fits(self, entry: Entry) -> bool:
        """Whether the entry is this sealer's, by kind and names."""
        ...

    def unwrap(self, entry: Entry, bound: bytes) -> SecretBuffer:
        """The data key, of an entry that fits. CannotOpenError: the secret or the head differs."""
        ...
