"""From an HTTP response to the HIS's own answer: envelope, fault, by-reference parameter."""

import re

from msgspec import Struct

from his_bridge.errors import ReplyError
from his_bridge.profile import Profile
from his_bridge.xml import Element, child, decode, elements_at, parse, text_at, value_of

OK = 200
FAULTY = 500
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")


class Fault(Struct, frozen=True):
    """A SOAP fault of the definite kind: the call was refused before anything was done."""

    code: str


class HisAnswer(Struct, frozen=True):
    """The method's return value (None: missing) and the root of the answer's XML."""

    returned: str | None
    root: Element

    def at(self, path: str) -> str | None:
        """The value at ``path``; ``@return`` is the method's return value."""
        return self.returned if path == "@return" else text_at(self.root, path)


def integer(text: str | None) -> int | None:
    """A whole number as the HIS writes it, or None."""
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None


def read_answer(profile: Profile, status: int, body: bytes) -> HisAnswer | Fault:
    """Raises ReplyError for all that is no readable answer; HTTP 500 is one only as a fault."""
    if status not in (OK, FAULTY):
        raise ReplyError(f"http_{status}", "not HTTP 200")
    transport = profile.transport
    text = decode(body, transport.encoding, transport.reply_limit_bytes)
    root = parse(text, transport.depth_limit)
    if root.name != "Envelope":
        raise ReplyError("no_envelope", "not a SOAP envelope")
    soap_body = child(root, "Body")
    content = soap_body.children if soap_body is not None else []
    if len(content) != 1:
        raise ReplyError("no_envelope", "the SOAP body does not hold exactly one element")
    if content[0].name == "Fault":
        return _fault(profile, content[0])
    if status != OK:
        raise ReplyError(f"http_{status}", "not HTTP 200")
    return _answer(profile, content[0])


def _fault(profile: Profile, fault: Element) -> Fault:
    code = (text_at(fault, "faultcode") or text_at(fault, "Code/Value") or "").rpartition(":")[2]
    if code in profile.transport.definite_faults:
        return Fault(code)
    raise ReplyError("fault", "a SOAP fault that proves nothing")


def _answer(profile: Profile, response: Element) -> HisAnswer:
    transport = profile.transport
    if response.name != f"{transport.method}Response":
        raise ReplyError("other_method", f"not an answer to {transport.method}")
    returned = text_at(response, transport.return_element)
    inner = text_at(response, transport.reply_parameter)
    if not inner:
        raise ReplyError("empty", f"no {transport.reply_parameter}")
    root = parse(inner, transport.depth_limit)
    for path in profile.reply.unwrap:
        found = elements_at(root, path)
        if len(found) != 1:
            raise ReplyError("no_inner", f"not exactly one {path}")
        root = parse(value_of(found[0]), transport.depth_limit)
    return HisAnswer(returned, root)
