"""A function's request tree, compiled once into a function from a typed request to the HTTP body.

The tree is text inside text: XML as the string parameter of a SOAP call. Fixed parts are escaped
when compiled; a value is escaped twice when sent, so no value can become markup at either level.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from his_bridge.errors import ProfileError, RequestError
from his_bridge.profile import FunctionName, Profile
from his_bridge.xml import CONTROL_CHARACTERS, escape
from switch.model.hospital import BillQuery, Cancel, Confirm, Hold, OrderQuery, PatientQuery
from switch.model.money import yuan

Slot = Callable[[Any], str]


class Probe(Struct, frozen=True):
    """Asks nothing; only whether the HIS answers."""


REQUESTS: dict[FunctionName, type[Struct]] = {
    FunctionName.PATIENT_QUERY: PatientQuery,
    FunctionName.BILL_QUERY: BillQuery,
    FunctionName.HOLD: Hold,
    FunctionName.CONFIRM: Confirm,
    FunctionName.DEPOSIT: Confirm,
    FunctionName.CANCEL: Cancel,
    FunctionName.ORDER_QUERY: OrderQuery,
    FunctionName.PROBE: Probe,
}

_TAG = re.compile(r"[A-Za-z_\u4e00-\u9fff][\w.-]*")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_CHARACTERS = re.compile(CONTROL_CHARACTERS)
_DEPTH_MAX = 32


class Template:
    """Renders one function's requests."""

    def __init__(self, profile: Profile, name: FunctionName, site: Mapping[str, str]) -> None:
        """``site`` fills ``${site.…}``: what differs between two users of one profile.

        Raises ProfileError for a bad tag, an unknown placeholder or a missing site value.
        """
        self._encoding = profile.transport.encoding
        self._limit_chars = profile.transport.value_limit_chars
        refused = re.escape(profile.transport.refused_characters)
        self._refused = re.compile(f"{CONTROL_CHARACTERS}|[{refused}]" if refused else "(?!)")
        if not refused:
            self._refused = _CHARACTERS
        self._texts: list[str] = [""]
        self._slots: list[tuple[str, Slot]] = []
        self._fields = set(REQUESTS[name].__struct_fields__)
        self._site = site
        self._compile(profile, name)

    def render(self, request: Struct) -> bytes:
        """The HTTP body. Raises RequestError for a value that may not be sent."""
        pieces = [self._texts[0]]
        for (name, slot), text in zip(self._slots, self._texts[1:], strict=True):
            value = slot(request)
            if len(value) > self._limit_chars:
                raise RequestError("too_long", f"{name} has more than {self._limit_chars}")
            if self._refused.search(value):
                raise RequestError("bad_character", f"{name} holds a character that is not sent")
            pieces.append(escape(escape(value)))
            pieces.append(text)
        # A character that the encoding lacks goes as a reference: a rare name is never dropped.
        return "".join(pieces).encode(self._encoding, "xmlcharrefreplace")

    def _compile(self, profile: Profile, name: FunctionName) -> None:
        transport, function = profile.transport, profile.functions[name]
        self._add(
            f'<?xml version="1.0" encoding="{escape(transport.encoding)}"?>'
            '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
            f'<{transport.method} xmlns="{escape(transport.namespace)}">'
            f"<{transport.code_parameter}>{escape(function.trade_code)}"
            f"</{transport.code_parameter}><{transport.request_parameter}>"
        )
        path = f"functions.{name}.request"
        if len(function.request) != 1:
            raise ProfileError(path, "needs exactly one root tag")
        self._tree(function.request, path, 1)
        self._add(
            f"</{transport.request_parameter}><{transport.reply_parameter}></"
            f"{transport.reply_parameter}></{transport.method}></soap:Body></soap:Envelope>"
        )

    def _tree(self, tree: dict[str, Any], path: str, depth: int) -> None:
        if depth > _DEPTH_MAX:
            raise ProfileError(path, f"deeper than {_DEPTH_MAX} levels")
        for tag, node in tree.items():
            inner = f"{path}.{tag}"
            if not _TAG.fullmatch(tag):
                raise ProfileError(inner, "is not a tag name")
            self._add(escape(f"<{tag}>"))
            if isinstance(node, dict):
                self._tree(node, inner, depth + 1)
            elif isinstance(node, str):
                self._leaf(node, inner)
            else:
                raise ProfileError(inner, "must be text or a mapping of tags")
            self._add(escape(f"</{tag}>"))

    def _leaf(self, text: str, path: str) -> None:
        end = 0
        for match in _PLACEHOLDER.finditer(text):
            self._add(escape(escape(text[end : match.start()])))
            self._placeholder(match[1], path)
            end = match.end()
        rest = text[end:]
        if "${" in rest or _CHARACTERS.search(text):
            raise ProfileError(path, "an unfinished placeholder or a control character")
        self._add(escape(escape(rest)))

    def _placeholder(self, name: str, path: str) -> None:
        space, _, key = name.partition(".")
        if space == "site" and key:
            if key not in self._site:
                raise ProfileError(path, f"the configuration's `site` has no {key}")
            self._add(escape(escape(self._site[key])))
            return
        if key and space in ("bank", "facts") and space in self._fields:
            slot = _entry(space, key)
        elif name == "amount_yuan" and "amount_fen" in self._fields:
            slot = _yuan
        elif name in self._fields and name not in ("bank", "facts"):
            slot = _field(name)
        else:
            raise ProfileError(path, f"${{{name}}} is unknown for this function")
        self._slots.append((name, slot))
        self._texts.append("")

    def _add(self, text: str) -> None:
        self._texts[-1] += text


def _field(name: str) -> Slot:
    return lambda request: str(getattr(request, name))


def _entry(space: str, key: str) -> Slot:
    return lambda request: str(getattr(request, space).get(key, ""))


def _yuan(request: Any) -> str:
    return yuan(request.amount_fen)
