"""Frames and texts of the ID card module (SAM of 二代证 readers). No input, no output, no clock.

``AA AA AA 96 69 length command … XOR``: length (two bytes) counts what follows it, the XOR covers
length to data. An answer has three status bytes instead of the command. A read card is 256 bytes of
UTF-16LE text and 1024 bytes of picture (GA 450).
"""

from functools import reduce
from operator import xor
from typing import Final

from msgspec import Struct

from terminal_agent.devices.interfaces import IdentityCard
from terminal_agent.protocol import Opaque

HEAD: Final = b"\xaa\xaa\xaa\x96\x69"
LENGTH_MAX: Final = 4096
"""No answer is longer; what claims to be is noise."""

FIND, SELECT, READ = b"\x20\x01", b"\x20\x02", b"\x30\x01"
STATUS, NUMBER = b"\x11\xff", b"\x12\xff"
FOUND, GOOD, NO_CARD, READ_FAILED = 0x9F, 0x90, 0x80, 0x41

TEXT_BYTES: Final = 256
PHOTO_BYTES: Final = 1024
FIELDS: Final = (
    ("name", 30),
    ("sex", 2),
    ("nation", 4),
    ("birth", 16),
    ("address", 70),
    ("number", 36),
    ("issuer", 30),
    ("valid_from", 16),
    ("valid_to", 16),
)
SEXES: Final = {"0": "未知", "1": "男", "2": "女", "9": "未说明"}
NATIONS: Final = [
    "汉",
    "蒙古",
    "回",
    "藏",
    "维吾尔",
    "苗",
    "彝",
    "壮",
    "布依",
    "朝鲜",
    "满",
    "侗",
    "瑶",
    "白",
    "土家",
    "哈尼",
    "哈萨克",
    "傣",
    "黎",
    "傈僳",
    "佤",
    "畲",
    "高山",
    "拉祜",
    "水",
    "东乡",
    "纳西",
    "景颇",
    "柯尔克孜",
    "土",
    "达斡尔",
    "仫佬",
    "羌",
    "布朗",
    "撒拉",
    "毛南",
    "仡佬",
    "锡伯",
    "阿昌",
    "普米",
    "塔吉克",
    "怒",
    "乌孜别克",
    "俄罗斯",
    "鄂温克",
    "德昂",
    "保安",
    "裕固",
    "京",
    "塔塔尔",
    "独龙",
    "鄂伦春",
    "赫哲",
    "门巴",
    "珞巴",
    "基诺",
]
"""By number, 01 first (GB/T 3304)."""
WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


class Answer(Struct, frozen=True):
    """The third status byte, and data."""

    status: int
    data: bytes

    def __repr__(self) -> str:
        return f"<answer {self.status:02X}>"


def encode(body: bytes) -> bytes:
    """A frame: a command, or an answer's status and data.

    >>> encode(FIND).hex(" ")
    'aa aa aa 96 69 00 03 20 01 22'
    """
    covered = (len(body) + 1).to_bytes(2, "big") + body
    return HEAD + covered + bytes([reduce(xor, covered)])


class Decoder:
    """Bytes in any portions → bodies, checked; everything else is noise."""

    def __init__(self) -> None:
        self._held = bytearray()

    def forget(self) -> None:
        """Drop a half frame."""
        self._held.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """What is complete now."""
        out: list[bytes] = []
        self._held += data
        while True:
            start = self._held.find(HEAD)
            if start < 0:
                del self._held[: max(0, len(self._held) - len(HEAD) + 1)]
                return out
            del self._held[:start]
            if len(self._held) < len(HEAD) + 2:
                return out
            length = int.from_bytes(self._held[5:7], "big")
            if not 2 <= length <= LENGTH_MAX:
                del self._held[: len(HEAD)]
                continue
            if len(self._held) < 7 + length:
                return out
            frame = bytes(self._held[5 : 7 + length])
            if reduce(xor, frame) == 0:
                out.append(frame[2:-1])
                del self._held[: 7 + length]
            else:
                del self._held[: len(HEAD)]


def answer_of(body: bytes) -> Answer:
    """Status and data of an answer's body."""
    return Answer(body[2] if len(body) > 2 else 0, body[3:])


def is_number(number: str) -> bool:
    """Whether a citizen's number is whole (GB 11643, ISO 7064 MOD 11-2).

    >>> is_number("11010519491231002X"), is_number("110105194912310021")
    (True, False)
    """
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, WEIGHTS, strict=False))
    return "10X98765432"[total % 11] == number[17]


def card_of(data: bytes) -> IdentityCard:
    """A card's data: two lengths, text, picture. Raises ValueError that tells nothing of it."""
    text_bytes, photo_bytes = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    if (text_bytes, photo_bytes) != (TEXT_BYTES, PHOTO_BYTES):
        raise ValueError("no resident's card")
    if len(data) < 4 + TEXT_BYTES + PHOTO_BYTES:
        raise ValueError("half a card")
    at, texts = 4, {}
    for field, size in FIELDS:
        try:
            texts[field] = data[at : at + size].decode("utf-16-le").strip("\0 ")
        except UnicodeDecodeError:
            raise ValueError(f"{field} is no text") from None
        at += size
    if not is_number(texts["number"]):
        raise ValueError("the number's check digit")
    nation = texts["nation"]
    known = nation.isascii() and nation.isdigit() and 1 <= int(nation) <= len(NATIONS)
    return IdentityCard(
        name=Opaque(texts["name"]),
        number=Opaque(texts["number"]),
        sex=SEXES.get(texts["sex"], "未知"),
        nation=NATIONS[int(nation) - 1] if known else "其他",
        birth=texts["birth"],
        address=Opaque(texts["address"]),
        issuer=texts["issuer"],
        valid_from=texts["valid_from"],
        valid_to=texts["valid_to"],
        photo=data[4 + TEXT_BYTES : 4 + TEXT_BYTES + PHOTO_BYTES],
    )


def data_of(card: IdentityCard) -> bytes:
    """What a module sends for a card: the opposite of :func:`card_of`."""
    sexes = {word: code for code, word in SEXES.items()}
    texts = {
        "name": card.name.reveal(),
        "sex": sexes[card.sex],
        "nation": f"{NATIONS.index(card.nation) + 1:02d}",
        "birth": card.birth,
        "address": card.address.reveal(),
        "number": card.number.reveal(),
        "issuer": card.issuer,
        "valid_from": card.valid_from,
        "valid_to": card.valid_to,
    }
    text = b"".join(
        texts[field].ljust(size // 2)[: size // 2].encode("utf-16-le") for field, size in FIELDS
    )
    lengths = TEXT_BYTES.to_bytes(2, "big") + PHOTO_BYTES.to_bytes(2, "big")
    return lengths + text.ljust(TEXT_BYTES, b"\0") + card.photo.ljust(PHOTO_BYTES, b"\0")
