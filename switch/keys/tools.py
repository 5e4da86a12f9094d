"""What keeping keys asks of a key service, beside what payments ask of it."""

from typing import Protocol


class KeyTools(Protocol):
    """What ``yyt key`` asks of a key service. Keys are held texts (switch.model.held_key); every
    method fails as KeyServiceError."""

    default_lmk: str
    """The LMK that a text without ``%NN`` is under."""

    async def check_value(self, key_type: str, key: str) -> str: ...

    async def generate_key(self, key_type: str, scheme: str, lmk_id: str) -> tuple[str, str]:
        """A0: (a new key under this LMK, its check value of 6 hex)."""
        ...

    async def import_key(self, key_type: str, zmk: str, cryptogram: str) -> tuple[str, str]:
        """A6, see :meth:`switch.ports.KeyService.import_key`; ``R…`` is a TR-31 block."""
        ...

    async def export_key(self, key_type: str, zmk: str, key: str, scheme: str) -> tuple[str, str]:
        """A8: (the key under the ZMK in this scheme, ``X U T R S``; its check value of 6 hex)."""
        ...

    async def translate_lmk(self, key_type: str, key: str, to_lmk: str) -> str:
        """BW: the same key under another LMK of this HSM."""
        ...
