"""The two-character error codes of the host protocol."""

from typing import Final

TEXTS: Final = {
    "00": "done",
    "01": "verification failed, or parity warning on import",
    "02": "key of inappropriate length",
    "03": "specific to the command",
    "04": "key type code",
    "05": "key length flag",
    "06": "specific to the command",
    "07": "specific to the command",
    "08": "specific to the command",
    "09": "padding method",
    "10": "parity of source key",
    "11": "parity of destination key, or all-zero key",
    "12": "user storage",
    "13": "LMK identifier",
    "14": "PIN under LMK invalid",
    "15": "input data",
    "16": "printer",
    "17": "not in the authorised state",
    "20": "PIN block invalid",
    "21": "index",
    "22": "account",
    "23": "PIN block format",
    "24": "PIN length",
    "25": "decimalisation table",
    "26": "key scheme",
    "27": "key length",
    "28": "key type",
    "29": "function not permitted for this key",
    "39": "fraud detection",
    "40": "checksum",
    "41": "hardware or software fault",
    "42": "DES fault",
    "47": "algorithm not licensed",
    "51": "message header",
    "52": "branch and height parameters",
    "67": "command not licensed",
    "68": "command disabled",
    "69": "PIN block format disabled",
    "75": "weak or semi-weak key, or equal halves",
    "80": "data length",
    "81": "zero-length data, or PIN length mismatch",
    "A1": "incompatible LMK schemes",
    "A2": "incompatible LMK identifiers",
    "A3": "incompatible key-block LMK identifiers",
    "A4": "key block authentication failed",
    "A5": "incompatible key length",
    "A6": "key usage",
    "A7": "algorithm",
    "A8": "mode of use",
    "A9": "key version number",
    "AA": "export field",
    "AB": "number of optional blocks",
    "AC": "optional block",
    "B2": "key block",
    "B3": "number of optional blocks",
    "BB": "wrapping key",
    "BC": "repeated optional block",
}
"""Every code this daemon can answer, and what it means."""


class CommandError(Exception):
    """A command ends with this code. ``where`` names a field, never its value (I12)."""

    def __init__(self, code: str, where: str = "") -> None:
        super().__init__(f"{code} {TEXTS.get(code, '')}{where and f' ({where})'}")
        self.code = code
        self.where = where
