"""IPP messages as bytes, and the words for a printer's health."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal_agent.config import ConfigError, Device
from terminal_agent.devices import drivers
from terminal_agent.devices.ipp_codec import (
    FIELD_BYTES_MAX,
    Attribute,
    Group,
    IppError,
    Message,
    Tag,
    Value,
    boolean,
    decode,
    encode,
    integers,
    texts,
)
from terminal_agent.devices.ipp_health import health
from terminal_agent.devices.ipp_messages import (
    IppState,
    JobFacts,
    PrinterFacts,
    Requests,
    read_answer,
    read_job,
    read_printer,
)

RFC_PRINT_JOB = bytes.fromhex(
    "0101 0002 00000001 01"
    "47 0012 617474726962757465732d63686172736574 0005 7574662d38"
    "48 001b 617474726962757465732d6e61747572616c2d6c616e6775616765 0005 656e2d7573"
    "02 21 0006 636f70696573 0004 00000014"
    "44 0005 7369646573 0013 74776f2d73696465642d6c6f6e672d65646765"
    "03 25504446"
)
"""In the form of the examples of RFC 8010, appendix A."""

values = st.builds(Value, st.integers(0x10, 0x7F), st.binary(max_size=40))
attributes = st.builds(
    Attribute,
    st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=20),
    st.lists(values, min_size=1, max_size=4).map(tuple),
)
groups = st.builds(
    Group, st.sampled_from([0x01, 0x02, 0x04, 0x05]), st.lists(attributes, max_size=4).map(tuple)
)
messages = st.builds(
    Message,
    code=st.integers(0, 0xFFFF),
    request_id=st.integers(-(2**31), 2**31 - 1),
    groups=st.lists(groups, max_size=4).map(tuple),
    document=st.binary(max_size=60),
    version=st.tuples(st.integers(0, 255), st.integers(0, 255)),
)


def test_the_standards_own_form() -> None:
    """A Print-Job with a document, read and written again."""
    message = decode(RFC_PRINT_JOB)

    assert (message.version, message.code, message.request_id) == ((1, 1), 2, 1)
    assert message.group(Tag.OPERATION).texts("attributes-charset") == ("utf-8",)
    job = message.group(Tag.JOB)
    assert (job.integer("copies"), job.texts("sides")) == (20, ("two-sided-long-edge",))
    assert (job.integer("sides"), job.boolean("copies"), job.texts("media")) == (None, None, ())
    assert message.document == b"%PDF"
    assert encode(message) == RFC_PRINT_JOB


@given(messages)
def test_any_message_comes_back(message: Message) -> None:
    """Values, their tags, their order and the document; a collection is values like others."""
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data: bytes) -> None:
    """They are a message, which then is written as it was, or IppError; nothing else is raised."""
    try:
        message = decode(data)
    except IppError:
        return
    assert encode(message) == data


@given(messages, st.data())
def test_any_damage_is_survived(message: Message, data: st.DataObject) -> None:
    """A message cut off or with a byte changed: read, or IppError."""
    whole = encode(message)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    for damaged in (whole[:at], changed):
        try:
            found = decode(damaged)
        except IppError:
            continue
        for group in found.groups:
            for attribute in group.attributes:
                group.texts(attribute.name)
                group.integer(attribute.name)
                group.boolean(attribute.name)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x02\x00\x00\x00", "head"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01", "breaks off"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01\x44\x00\x01a\x00\x00\x03", "outside a group"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01\x01\x44\x00\x00\x00\x00\x03", "without a name"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01\x01\x44\x00\x01\xff\x00\x00\x03", "not ASCII"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01\x01\x80\x00\x01a\x00\x00\x03", "no tag"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01\x01\x44\x00\x01a\xff\xff\x03", "too long"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x01\x01\x44\x00\x01a\x00\x09\x03", "breaks off"),
    ],
)
def test_what_is_no_message(data: bytes, said: str) -> None:
    """Each kind of nonsense, with its sentence."""
    with pytest.raises(IppError, match=said):
        decode(data)


@pytest.mark.parametrize(
    "group",
    [
        Group(Tag.END),
        Group(Tag.KEYWORD),
        Group(Tag.JOB, (Attribute("", (Value(Tag.TEXT, b""),)),)),
        Group(Tag.JOB, (Attribute("a", ()),)),
        Group(Tag.JOB, (Attribute("a", (Value(Tag.JOB, b""),)),)),
        Group(Tag.JOB, (Attribute("a", (Value(Tag.TEXT, bytes(FIELD_BYTES_MAX + 1)),)),)),
    ],
)
def test_what_cannot_be_written(group: Group) -> None:
    """It would be read as something else."""
    with pytest.raises(IppError):
        encode(Message(code=0, request_id=1, groups=(group,)))


def test_a_text_with_its_language() -> None:
    """The language is left out; a broken one is no text."""
    named = Value(Tag.NAME_WITH_LANGUAGE, b"\x00\x05zh-cn\x00\x06\xe6\x8a\xa5\xe5\x91\x8a")
    assert named.text() == "报告"
    assert Value(Tag.TEXT_WITH_LANGUAGE, b"\x00\x05zh").text() == ""
    assert Value(Tag.TEXT, b"\xff").text() == "\ufffd"


def test_requests_have_numbers_of_their_own() -> None:
    """An answer to another question is none; charset, language and address come first."""
    requests = Requests("ipp://printer/ipp/print")
    first, second = requests.ask_printer(), requests.cancel_job(7)
    answer = encode(Message(code=0, request_id=second.request_id, groups=()))

    assert read_answer(second, answer).code == 0
    with pytest.raises(IppError, match="something else"):
        read_answer(first, answer)
    names = [attribute.name for attribute in second.group(Tag.OPERATION).attributes]
    assert names == [
        "attributes-charset",
        "attributes-natural-language",
        "printer-uri",
        "job-id",
        "requesting-user-name",
    ]


def test_answers_that_say_nothing() -> None:
    """Without state, without number: no facts."""
    empty = Message(code=0, request_id=1, groups=(Group(Tag.PRINTER), Group(Tag.JOB)))
    with pytest.raises(IppError, match="printer-state"):
        read_printer(empty)
    with pytest.raises(IppError, match="job-id"):
        read_job(empty)


def test_facts_of_a_printer() -> None:
    """``none`` is no reason; a printer that does not say whether it takes jobs takes them."""
    group = Group(
        Tag.PRINTER,
        (
            integers(Tag.ENUM, "printer-state", 3),
            texts(Tag.KEYWORD, "printer-state-reasons", "none"),
        ),
    )
    facts = read_printer(Message(code=0, request_id=1, groups=(group,)))
    assert facts == PrinterFacts(state=3, reasons=(), accepting=True, formats=())
    closed = Group(Tag.PRINTER, (*group.attributes, boolean("printer-is-accepting-jobs", False)))
    assert not read_printer(Message(code=0, request_id=1, groups=(closed,))).accepting


@pytest.mark.parametrize(
    ("state", "reasons", "printed"),
    [
        (9, (), True),
        (9, ("job-completed-successfully",), True),
        (9, ("job-completed-with-warnings",), True),
        (9, ("job-completed-with-errors",), False),
        (9, ("queued-in-device",), False),
        (8, ("aborted-by-system",), False),
        (7, (), False),
        (5, ("job-printing",), False),
    ],
)
def test_what_counts_as_printed(state: int, reasons: tuple[str, ...], printed: bool) -> None:
    """*completed*, unless a reason takes it back."""
    assert JobFacts(number=1, state=state, reasons=reasons, name="").is_printed is printed


@pytest.mark.parametrize(
    ("state", "reasons", "word"),
    [
        (IppState.IDLE, (), "online"),
        (IppState.PROCESSING, ("identify-printer-requested",), "online"),
        (IppState.IDLE, ("media-low-warning",), "paperLow"),
        (IppState.IDLE, ("media-empty-warning",), "paperLow"),
        (IppState.STOPPED, ("media-empty-warning",), "paperOut"),
        (IppState.IDLE, ("media-empty",), "paperOut"),
        (IppState.STOPPED, ("media-empty-error", "media-needed-error"), "paperOut"),
        (IppState.STOPPED, ("media-needed-report",), "paperOut"),
        (IppState.STOPPED, ("media-empty-error", "cover-open-error"), "coverOpen"),
        (IppState.STOPPED, ("door-open-error",), "coverOpen"),
        (IppState.STOPPED, ("media-jam-error", "door-open-error"), "paperJam"),
        (IppState.IDLE, ("toner-low-report",), "tonerLow"),
        (IppState.IDLE, ("marker-supply-empty-warning",), "tonerLow"),
        (IppState.STOPPED, ("marker-supply-empty-error",), "tonerOut"),
        (IppState.STOPPED, ("paused",), "paused"),
        (IppState.IDLE, ("shutdown",), "paused"),
        (IppState.STOPPED, ("fuser-over-temp-error",), "hardwareError"),
        (IppState.IDLE, ("fuser-over-temp-error",), "hardwareError"),
        (IppState.STOPPED, (), "hardwareError"),
        (99, (), "online"),
    ],
)
def test_one_word_for_a_printers_health(state: int, reasons: tuple[str, ...], word: str) -> None:
    """States and reasons as printers send them, severities and all."""
    facts = PrinterFacts(state=state, reasons=reasons, accepting=True, formats=())
    assert health(facts) == word


def test_a_printer_that_takes_no_jobs() -> None:
    """paused, if nothing else is wrong."""
    facts = PrinterFacts(state=3, reasons=(), accepting=False, formats=())
    assert health(facts) == "paused"


OPTIONS = {
    "answer_timeout_ms": "3000",
    "print_timeout_ms": "60000",
    "job_poll_ms": "500",
    "poll_ms": "5000",
}


@pytest.mark.parametrize(
    ("driver", "options", "said"),
    [
        ("ipp", {}, "missing required field `uri`"),
        ("ipp", {"uri": "http://printer/"}, "uri must be ipp://"),
        ("ipp", {"uri": "ipp:///ipp/print"}, "uri must be ipp://"),
        ("ipp", {"uri": "ipp://me:word@printer/"}, "uri must be ipp://"),
        ("ipp", {"uri": "ipp://printer:99999/"}, "[Pp]ort"),
        ("ipp", {"uri": "ipps://printer/"}, "stand together"),
        ("ipp", {"uri": "ipp://printer/", "certificate": "x"}, "stand together"),
        ("ipp", {"uri": "ipps://printer/", "certificate": "/no"}, "No such file"),
        ("ipp", {"uri": "ipp://printer/", "media": "A4 paper"}, r"\$\.media"),
        ("ipp", {"uri": "ipp://printer/", "job_poll_ms": "0"}, r"\$\.job_poll_ms"),
        ("ipp-emulator", {"folder": "x", "port": "65536"}, r"\$\.port"),
        ("lpr", {}, "no driver lpr; there are ipp, ipp-emulator"),
    ],
)
def test_mistakes_in_the_configuration(driver: str, options: dict[str, str], said: str) -> None:
    """Told with their place, before anything starts."""
    device = Device(driver=driver, options=OPTIONS | options)
    with pytest.raises(ConfigError, match=said) as refused:
        drivers.report_printer(device, None)
    assert "devices.report_printer." in str(refused.value)
