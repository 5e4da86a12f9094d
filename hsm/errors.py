"""The two-character error codes of the host protocol."""

from typing import Final

TEXTS: Final = {
    "00": "done",
    "01": "verification failed, or parity warning on import",
    "04": "key type code",
    "05": "key length flag",
    "10": "parity of source key",
    "11": "parity of destination key, or all-zero key",
    "13": "LMK identifier",
    "15": "input data",
    "20": "PIN block invalid",
    "23": "PIN block format",
    "24": "PIN length",
    "26": "key scheme",
    "27": "key length",
    "28": "key type",
    "29": "function not permitted for this key",
    "41": "hardware or software fault",
    "51": "message header",
    "68": "command disabled",
    "69": "PIN block format disabled",
    "75": "weak or semi-weak key",
    "80": "data length",
}
"""Every code this daemon can answer, and what it means."""


class CommandError(Exception):
    """A command ends with this code. ``where`` names a field, never its value (I12)."""

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(f"{code} {TEXTS.get(code, '')}{where and f' ({where})'}")
        self.code = code
        self.where = where
