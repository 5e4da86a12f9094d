"""A host in memory: build a command from its table, have the processor answer, read the answer."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from hsm import codec, primitives
from hsm.codec import Tail
from hsm.commands import Service
from hsm.keys import parse_cryptogram, scheme_for
from hsm.layouts import COMMANDS
from hsm.lmk import published_test_lmk, published_test_lmks
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.slots import Slots


class Host:
    """Speaks to one processor under the published test LMK with header length 4."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.lmks = published_test_lmks()
        self.lmk = published_test_lmk()
        self.faults: list[str] = []
        self.entropy = Entropy()
        self.processor = Processor(
            Service(Slots(self.lmks), policy or Policy(), self.entropy),
            lambda command, error: self.faults.append(f"{command} {error!r}"),
        )

    def wrap(self, key_type: str, clear_hex: str, scheme: str = "") -> Any:
        """A clear test key under the LMK."""
        clear = primitives.odd_parity(bytes.fromhex(clear_hex))
        return self.lmk.wrap(key_type, scheme or scheme_for(len(clear)), clear)

    def ask(
        self, code: str, lmk_id: str = "", tail: Tail | None = None, **values: Any
    ) -> tuple[str, dict[str, Any]]:
        """(error, fields) of one command; cryptograms may be given as text."""
        command = COMMANDS[code]
        for name, value in values.items():
            if isinstance(value, str) and value[:1] in "UTXYZSR" and len(value) > 16:
                values[name] = parse_cryptogram(value)
        frame = b"0042" + codec.build_request(command, values, tail or Tail(lmk_id))
        answer = self.raw(frame)
        assert answer[:4] == b"0042"
        error, fields, _ = codec.parse_response(command, answer[4:], values)
        return error, fields

    def raw(self, frame: bytes) -> bytes:
        """The answer to a frame as it stands; no fault of ours may be behind it."""
        answered = self.processor.answer(frame)
        assert not self.faults
        return answered.frame


class Entropy:
    """Random bytes that repeat themselves in every run."""

    def __init__(self, seed: bytes = b"tests") -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, length: int) -> bytes:
        self._count += 1
        return hashlib.shake_128(self._seed + self._count.to_bytes(8, "big")).digest(length)


@pytest.fixture
def host() -> Host:
    """A host with the strict default policy."""
    return Host()


@pytest.fixture
def make_host() -> Callable[[Policy], Host]:
    """A host with a policy of the test's own."""
    return Host


@pytest.fixture
def entropy() -> Entropy:
    """Reproducible random bytes."""
    return Entropy()
