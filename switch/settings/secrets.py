"""Secrets come by reference: ``file:/path`` or ``env:NAME``; never inline, never echoed (I12)."""

import os
from pathlib import Path

SECRET_BYTES_MAX = 65_536


def check_reference(reference: str) -> str:
    """Refuse what is no reference, without showing it: it may be the secret itself.

    Raises ValueError. Returns the reference.
    """
    scheme, _, rest = reference.partition(":")
    if scheme not in ("file", "env") or not rest:
        raise ValueError("a secret is given as file:/path or env:NAME, never inline")
    return reference


def resolve(reference: str) -> str:
    """The secret itself, without the line end that editors add.

    Raises ValueError with a sentence that shows the reference's place, never its value.
    """
    scheme, _, rest = check_reference(reference).partition(":")
    if scheme == "env":
        value = os.environ.get(rest)
        if value is None:
            raise ValueError(f"the environment has no variable {rest}")
    else:
        value = _read(Path(rest))
    if not value:
        raise ValueError(f"the secret behind {scheme}:{rest} is empty")
    return value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            raw = stream.read(SECRET_BYTES_MAX + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    if len(raw) > SECRET_BYTES_MAX:
        raise ValueError(f"{path} is larger than {SECRET_BYTES_MAX} bytes")
    return text.rstrip("\r\n")
