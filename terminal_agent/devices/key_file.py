"""The file that plays the tamper-proof memory of a pad that is not there."""

from pathlib import Path

from terminal_agent.config import ConfigError


def key_from(file: Path) -> bytes:
    """16 or 24 bytes, written in hexadecimal. Raises ConfigError, which names no digit."""
    try:
        key = bytes.fromhex(file.read_text("ascii").strip())
    except ValueError:
        raise ConfigError(f"{file}: not a key in hexadecimal") from None
    if len(key) not in (16, 24):
        raise ConfigError(f"{file}: a pad's key has 16 or 24 bytes")
    return key
