"""What officers' tools and the daemon say to each other: JSON behind a length of four bytes.

The socket is a file of mode 0600, and the daemon looks at the user id behind every connection. What
is secret goes one way only, to the daemon; no reply ever holds a passphrase, a component or a key.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

FRAME_MAX: Final = 64 * 1024
LENGTH_BYTES: Final = 4


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    """A person and the proof that it is this person."""

    name: str
    passphrase: str

    def __repr__(self) -> str:
        return f"<login of {self.name!r}>"


class _Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="ask"):
    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Status(_Request, frozen=True, tag="status"):
    """What the daemon is and holds. No login: the socket is the officers' already."""


class Unlock(_Request, frozen=True, tag="unlock"):
    """Open the sealed LMKs."""

    first: Login
    second: Login


class Lock(_Request, frozen=True, tag="lock"):
    """Forget every LMK. One officer is enough to close a door."""

    officer: Login


class Authorise(_Request, frozen=True, tag="authorise"):
    """Allow commands for a while."""

    first: Login
    second: Login
    commands: tuple[str, ...]
    minutes: int
    purpose: str


class Withdraw(_Request, frozen=True, tag="withdraw"):
    """End every authorisation. One officer is enough."""

    officer: Login


class ListPeople(_Request, frozen=True, tag="list-people"):
    """Names and roles."""


class AddPerson(_Request, frozen=True, tag="add-person"):
    """Name a new officer or custodian."""

    first: Login
    second: Login
    person: Login
    role: Literal["officer", "custodian"]


class RemovePerson(_Request, frozen=True, tag="remove-person"):
    """Take somebody out."""

    first: Login
    second: Login
    name: str


class BeginLmk(_Request, frozen=True, tag="begin-lmk"):
    """Begin the ceremony of an LMK; both officers' passphrases will seal it."""

    first: Login
    second: Login
    lmk_id: str
    scheme: Literal["variant", "tdes-block", "aes-block"]
    components: int


class BeginKey(_Request, frozen=True, tag="begin-key"):
    """Begin to form a key (ZMK, TMK) under an LMK; needs A4 in the authorised state."""

    key_type: str
    scheme: str
    length: int
    components: int
    lmk_id: str
    attributes: str = ""


class Component(_Request, frozen=True, tag="component"):
    """One component; either ``check_value`` or ``again`` confirms it."""

    custodian: Login
    value: str
    again: str = ""
    check_value: str = ""


class Confirm(_Request, frozen=True, tag="confirm"):
    """All present agree to this check value of the whole."""

    check_value: str


class Abandon(_Request, frozen=True, tag="abandon"):
    """End the ceremony of this connection and wipe it."""


class LmkToToken(_Request, frozen=True, tag="lmk-to-token"):
    """Put the LMK of a sealed file into the token that its slot is configured with."""

    first: Login
    second: Login
    lmk_id: str


class DestroyLmk(_Request, frozen=True, tag="destroy-lmk"):
    """Zeroise an LMK, in its file or its token, and forget it. ``check_value`` proves that this one
    is meant."""

    first: Login
    second: Login
    lmk_id: str
    check_value: str


Request = (
    Status
    | Unlock
    | Lock
    | Authorise
    | Withdraw
    | ListPeople
    | AddPerson
    | RemovePerson
    | BeginLmk
    | BeginKey
    | Component
    | Confirm
    | Abandon
    | LmkToToken
    | DestroyLmk
)


class Reply(Struct, frozen=True):
    """``error``: empty when it was done, else a name of hsm.ceremony.texts with its ``what``."""

    facts: dict[str, Any] = {}
    error: str = ""
    what: str = ""


_decode_request = msgspec.json.Decoder(Request).decode
_decode_reply = msgspec.json.Decoder(Reply).decode


def framed(message: Struct) -> bytes:
    """The message with its length. ValueError: it is too long."""
    body = msgspec.json.encode(message)
    if len(body) > FRAME_MAX:
        raise ValueError(f"more than {FRAME_MAX} bytes")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_request(body: bytes) -> Request | None:
    """A request, None: it is none. The reason stays untold: it might quote a secret."""
    try:
        found: Request = _decode_request(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found


def read_reply(body: bytes) -> Reply:
    """A reply. ValueError: it is none."""
    try:
        return _decode_reply(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError("no answer of a key service") from None
