"""The only place of the house where XML is parsed, and where text is made safe to stand in it.

Answers are hostile until proven otherwise: every DTD and entity is refused (bombs, XXE), nothing is
fetched, bytes and depth are capped, control characters are refused, and a wrong encoding is an
error instead of mangled text. The declared encoding is ignored: it often lies (a GBK prolog inside
a string that is long decoded), so bytes are decoded once, by the profile.
"""

import re

from lxml import etree

from his_bridge.errors import ReplyError

_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff"
CONTROL_CHARACTERS = f"[{_CONTROL}]"
"""Regular expression of what may stand in no message, either way (XML 1.0, plus C1)."""
_control = re.compile(CONTROL_CHARACTERS)
_prolog = re.compile(r"\ufeff?\s*(?:<\?xml[^>]{0,200}\?>)?\s*")
_declaration = re.compile(r"<!(?!\[CDATA\[|--)")
_special = re.compile("[&<>\"']")
_SPECIAL = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"},
)

_parser = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    load_dtd=False,
    dtd_validation=False,
    no_network=True,
    huge_tree=False,
    recover=False,
    remove_comments=True,
    remove_pis=True,
)


class Element:
    """One element of a parsed document: local name (HIS products change namespaces at will),
    text before the first child, children in order."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str, text: str | None) -> None:
        self.name = name
        self.text = text or ""
        self.children: list[Element] = []


def decode(body: bytes, encoding: str, limit_bytes: int) -> str:
    """The text of a body in the profile's encoding. Raises ReplyError, never drops a character."""
    if len(body) > limit_bytes:
        raise ReplyError("oversize", f"more than {limit_bytes} bytes")
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise ReplyError("encoding", f"not {encoding} at byte {error.start}") from None


def parse(text: str, depth_limit: int) -> Element:
    """The root of a document; its prolog is stripped. Raises ReplyError for everything else."""
    start = _prolog.match(text)
    body = text[start.end() :] if start else text
    if not body:
        raise ReplyError("empty", "no document")
    if _control.search(body):
        raise ReplyError("control_character", "a control character inside the document")
    if _declaration.search(body):
        raise ReplyError("dtd", "a document type or entity declaration")
    try:
        root = etree.fromstring(body.encode(), _parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise ReplyError("invalid_xml", f"line {line}, column {column}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ReplyError("dtd", "a document type declaration")
    return _tree(root, depth_limit)


def _tree(root: etree._Element, depth_limit: int) -> Element:
    """The document as plain objects, level by level: a lookup in them costs a tenth of lxml's."""
    top = Element(_local_name(root), root.text)
    layer, depth = [(root, top)], 0
    while layer:
        depth += 1
        if depth > depth_limit:
            raise ReplyError("depth", f"deeper than {depth_limit} levels")
        below = []
        for source, element in layer:
            for inner in source:
                made = Element(_local_name(inner), inner.text)
                element.children.append(made)
                below.append((inner, made))
        layer = below
    return top


def _local_name(element: etree._Element) -> str:
    tag = str(element.tag)
    return tag.rpartition("}")[2] if tag[0] == "{" else tag


def child(parent: Element, name: str) -> Element | None:
    """The only child of this name. Two of them are a ReplyError: which one would be true?"""
    found = [element for element in parent.children if element.name == name]
    if len(found) > 1:
        raise ReplyError("ambiguous", f"more than one {name}")
    return found[0] if found else None


def elements_at(root: Element, path: str) -> list[Element]:
    """All elements at ``A/B``, in document order."""
    found = [root]
    for name in path.split("/"):
        found = [inner for outer in found for inner in outer.children if inner.name == name]
    return found


def text_at(root: Element, path: str) -> str | None:
    """The trimmed text of the one element at ``A/B``; None if there is none.

    Raises ReplyError where the path is ambiguous or leads to a tree instead of a value.
    """
    found = elements_at(root, path)
    if not found:
        return None
    if len(found) > 1:
        raise ReplyError("ambiguous", f"more than one {path}")
    return value_of(found[0])


def value_of(element: Element) -> str:
    """The trimmed text of a leaf. Raises ReplyError for an element with children."""
    if element.children:
        raise ReplyError("not_a_value", f"{element.name} holds elements")
    return element.text.strip()


def escape(text: str) -> str:
    """``text`` made safe inside an element or an attribute; quotes too.

    >>> escape("a<b & 'c'")
    'a&lt;b &amp; &apos;c&apos;'
    """
    return text.translate(_SPECIAL) if _special.search(text) else text
