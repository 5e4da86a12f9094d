"""Goal: hostile XML ends in the bridge's own error, quickly and bounded; honest XML is read."""

import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from his_bridge.errors import ReplyError
from his_bridge.xml import CONTROL_CHARACTERS, decode, elements_at, escape, parse, text_at

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;">]><l>&c;</l>'
)
XXE = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>'
DEEP = "<a>" * 300 + "</a>" * 300


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "dtd"),
        (XXE, "dtd"),
        ("<!DOCTYPE r><r/>", "dtd"),
        ('<!DOCTYPE r SYSTEM "http://127.0.0.1:1/x.dtd"><r/>', "dtd"),
        ("<r><!ENTITY x 'y'></r>", "dtd"),
        ("<r>&x;</r>", "invalid_xml"),
        (DEEP, "invalid_xml"),
        ("<a>" * 17 + "</a>" * 17, "depth"),
        ("", "empty"),
        ('<?xml version="1.0"?>', "empty"),
        ("<r>\x01</r>", "control_character"),
        ("<r>\x85</r>", "control_character"),
        ("<r>\ud800</r>", "control_character"),
        ("<r>&#1;</r>", "invalid_xml"),
        ("<r><b></r>", "invalid_xml"),
        ("<r/><r/>", "invalid_xml"),
        ("plain text", "invalid_xml"),
        ("<x:r/>", "invalid_xml"),
        ('{"json": true}', "invalid_xml"),
    ],
)
def test_I11_hostile_document_is_refused(text: str, code: str) -> None:
    """Goal: each attack or wreck has its own code and never a tree."""
    with pytest.raises(ReplyError) as caught:
        parse(text, 16)

    assert caught.value.code == code


def test_errors_hold_no_content() -> None:
    """Goal: the text of an error shows where, never what (I12)."""
    with pytest.raises(ReplyError) as caught:
        parse("<r>6225880123456789<b></r>", 16)

    assert "6225" not in str(caught.value)


def test_lying_prolog_is_stripped() -> None:
    """Goal: a GBK prolog inside text that is long decoded does no harm."""
    root = parse('\ufeff <?xml version="1.0" encoding="gb2312"?>\n<r><n>张三</n></r>', 16)

    assert text_at(root, "n") == "张三"


def test_cdata_and_escaped_text_are_the_same() -> None:
    """Goal: both ways to carry XML as text give the same text."""
    root = parse("<r><a><![CDATA[<x>&</x>]]></a><b>&lt;x&gt;&amp;&lt;/x&gt;</b></r>", 16)

    assert text_at(root, "a") == text_at(root, "b") == "<x>&</x>"


def test_wrong_encoding_is_an_error_and_no_mangled_name() -> None:
    """Goal: GBK bytes under a UTF-8 profile are refused; under their own they are read."""
    body = "<r>张三</r>".encode("gbk")

    with pytest.raises(ReplyError, match="encoding"):
        decode(body, "utf-8", 1000)
    assert decode(body, "gb18030", 1000) == "<r>张三</r>"


def test_I11_oversize_body_is_refused_before_decoding() -> None:
    """Goal: the limit is on bytes."""
    with pytest.raises(ReplyError, match="oversize"):
        decode(b"x" * 11, "utf-8", 10)


def test_two_elements_where_one_is_meant_are_ambiguous() -> None:
    """Goal: an answer that says two things says nothing."""
    root = parse("<r><c>0</c><c>1</c><t><v/></t></r>", 16)

    with pytest.raises(ReplyError, match="ambiguous"):
        text_at(root, "c")
    with pytest.raises(ReplyError, match="not_a_value"):
        text_at(root, "t")
    assert text_at(root, "none/at/all") is None
    assert len(elements_at(root, "c")) == 2


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_escaped_text_comes_back_unchanged(text: str) -> None:
    """Goal: what we escape is exactly what a parser reads, quotes and markup included."""
    document = f"<r><v>{escape(text)}</v></r>"
    if re.search(CONTROL_CHARACTERS, text):
        with pytest.raises(ReplyError, match="control_character"):
            parse(document, 16)
        return
    root = parse(document, 16)

    read = root.children[0].text
    assert read == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.text(alphabet="<>/!&;'\"=? ab[]-\x00\n张", max_size=80) | st.text(max_size=80))
@settings(max_examples=500, deadline=None)
def test_fuzz_parse_gives_a_tree_or_its_own_error(text: str) -> None:
    """Goal: either a tree or ReplyError, never anything else."""
    with suppress(ReplyError):
        assert parse(text, 16).name
