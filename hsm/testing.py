"""A key service without sockets, for simulators, rehearsals and tests of whoever needs one.

It is the daemon's own processor behind the client's own commands; only the line is missing.
"""

from collections.abc import Callable

from hsm import primitives
from hsm.client.service import HostCommandService
from hsm.codec import Command
from hsm.commands import Service
from hsm.keys import scheme_for
from hsm.lmk import published_test_lmk
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots

_HEADER = b"0000"
VAULT_TEST_KEY = "0123456789ABCDEFFEDCBA9876543210"
"""Clear value of the vault's key in tests and simulations: no secret."""


def local_processor(entropy: Callable[[int], bytes]) -> Processor:
    """A processor under the published test LMK, header length 4."""
    slots = Slots({"00": published_test_lmk()})
    return Processor(Service(slots, Policy(test=True), entropy))


def wrap_test_key(key_type: str, clear_hex: str) -> str:
    """A test key of the outside world as a cryptogram under the published test LMK.

    >>> wrap_test_key("001", "0123456789ABCDEFFEDCBA9876543210")
    'U063A0E7C0F2124E56192A4510F395ED7'
    """
    clear = primitives.odd_parity(bytes.fromhex(clear_hex))
    return str(published_test_lmk().wrap(key_type, scheme_for(len(clear)), clear))


class LocalKeyService(HostCommandService):
    """:class:`switch.ports.KeyService` in process; every call completes at once."""

    def __init__(self, processor: Processor, entropy: Callable[[int], bytes]) -> None:
        """``entropy(n)`` gives the vault's IVs: a seeded one makes runs repeat themselves."""
        super().__init__(self._answer, wrap_test_key("00B", VAULT_TEST_KEY), "00", entropy)
        self._processor = processor

    async def _answer(self, _command: Command, body: bytes) -> bytes:
        return self._processor.answer(_HEADER + body).frame[len(_HEADER) :]
