"""Tables of the status commands."""

from typing import Final

from hsm.codec import Command, Field
from hsm.kinds import Bytes, Choice, Counted, Digits, Hex, Text

NC: Final = Command(
    code="NC",
    title="diagnostics: LMK check value and version",
    request=(),
    response=(Field("lmk_check_value", Hex(16)), Field("firmware", Text(9))),
)

NO: Final = Command(
    code="NO",
    title="status: buffer, protocol, sockets (mode 00), PCI settings (mode 01)",
    request=(Field("mode", Choice(("00", "01"))),),
    response=(
        Field("buffer", Digits(1), when=lambda v: v["mode"] == "00"),
        Field("protocol", Digits(1), when=lambda v: v["mode"] == "00"),
        Field("sockets", Digits(2), when=lambda v: v["mode"] == "00"),
        Field("firmware", Text(9), when=lambda v: v["mode"] == "00"),
        Field("reserved", Digits(5), when=lambda v: v["mode"] == "00"),
        Field("pci_setting", Digits(1), when=lambda v: v["mode"] == "01"),
    ),
)

B2: Final = Command(
    code="B2",
    title="echo",
    request=(Field("data", Counted()),),
    response=(Field("echo", Bytes(lambda v: len(v["data"]), "data")),),
)
