"""Sessions with a PKCS#11 token. The library is the extra ``[pkcs11]``, loaded when first used."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from hsm.sealing.errors import BadFileError, TokenError
from hsm.sealing.files import read_guarded
from hsm.sealing.texts import text_of

if TYPE_CHECKING:
    import pkcs11

_PIN_BYTES_MAX: Final = 256


class TokenAddress(NamedTuple):
    """Where a token is, and the file (or systemd credential) with its user's PIN: a PIN is taken
    neither from the command line nor from the environment, which others can read."""

    library: Path
    token: str
    """The token's label."""
    pin_file: Path


class TokenSession:
    """One session, logged in. The login is the process's: a second session on the same token
    shares it, its PIN unread, and only the last one to close logs out."""

    def __init__(self, address: TokenAddress, *, writable: bool = False) -> None:
        """TokenError: no such library or token, or the PIN is refused (never tried again: a token
        locks itself after a few)."""
        # One library by two names would be loaded, and refuse to start, twice.
        self._place = (address.library.resolve(), address.token)
        with _lock:
            token = _find(address)
            if self._place not in _logins:
                pin = _pin(address)
                with token_errors(f"token {address.token}: logging in"):
                    _logins[self._place] = _Login(token.open(user_pin=pin))
            _logins[self._place].users += 1
            try:
                with token_errors(f"token {address.token}: opening a session"):
                    self.raw: pkcs11.Session = token.open(rw=writable)
            except TokenError:
                _leave(self._place)
                raise

    def close(self) -> None:
        """Close it, and log out when it was the last."""
        with _lock, token_errors(f"token {self._place[1]}: closing"):
            try:
                self.raw.close()
            finally:  # a token that was pulled out is left all the same
                _leave(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def token_errors(doing: str) -> Iterator[None]:
    """The library's errors as TokenError: ``doing`` and the error's name, nothing of its text.

    One thread at a time: the library is started without locks of its own, and officers' work runs
    beside the reactor that has the token wrap keys.
    """
    from pkcs11.exceptions import PKCS11Error

    with _lock:
        try:
            yield
        except PKCS11Error as error:
            raise TokenError("token_error", doing, type(error).__name__) from None


@dataclass(slots=True)
class _Login:
    session: "pkcs11.Session"
    users: int = 0


_Place = tuple[Path, str]
_logins: Final[dict[_Place, _Login]] = {}
_lock: Final = threading.RLock()


def _leave(place: _Place) -> None:
    login = _logins[place]
    login.users -= 1
    if login.users == 0:
        del _logins[place]
        with token_errors(f"token {place[1]}: logging out"):
            login.session.close()


def _find(address: TokenAddress) -> "pkcs11.Token":
    try:
        import pkcs11
    except ImportError:
        raise TokenError("no_extra") from None
    if not address.library.is_file():
        raise TokenError("no_library", address.library)
    with token_errors(f"token {address.token}: looking for it"):
        return pkcs11.lib(str(address.library.resolve())).get_token(token_label=address.token)


def _pin(address: TokenAddress) -> str:
    # The library takes a str: this copy cannot be wiped.
    with read_guarded(address.pin_file, _PIN_BYTES_MAX) as pin:
        try:
            return str(pin.view, "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise BadFileError(address.pin_file.name, "PIN", text_of("utf8")) from None
