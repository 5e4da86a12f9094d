"""Goal: a second hospital of the style needs a profile and no code.

Made up to differ in everything a profile can say: names, success flags, amounts in 分, GB18030,
XML inside XML inside XML, Chinese tags, numbers of states, SOAP 1.2 faults.
"""

from typing import Any

from his_bridge.profile_file import parse_profile
from his_bridge.xml import escape
from switch.model.hospital import BillQuery
from switch.model.outcome import Outcome, Verb
from switch.model.payment import GiveUp, LegKind, OnUnknown
from tests.his.rig import World, http_answer, order_for

PROFILE = """
name: second
version: "7"
style: single-method-soap
transport:
  namespace: urn:his:second
  soap_action: ""
  method: Invoke
  code_parameter: fn
  request_parameter: input
  return_element: InvokeResult
  reply_parameter: output
  encoding: gb18030
  definite_faults: [Sender]
  reply_limit_bytes: 65536
  depth_limit: 8
  value_limit_chars: 64
reply:
  flags:
    - {at: Head/Code, values: ["0000", AAAAAAA]}
  code: Head/Code
  text: Head/Msg
  unwrap: [Payload]
functions:
  probe:
    trade_code: PING
    timeout_ms: 1000
    request: {Q: ""}
    reply: {root: R}
  bill_query:
    trade_code: BILLS
    timeout_ms: 2000
    request:
      Q: {病人号: "${patient_id}", 医院: "${site.branch}-A"}
    reply:
      root: R
      rows: 单据
      rows_limit: 2
      fields:
        bill_id: {at: 号}
        title: {at: 名}
        amount_fen: {at: 分, unit: fen}
  confirm:
    trade_code: PAY
    timeout_ms: 4000
    request:
      Q: {No: "${idem}", Bill: "${bill_id}", Fen: "${amount_fen}", By: "${trade_mode}"}
    reply:
      root: R
      refused: {"0101": 号源已满}
      echo:
        idem: {at: No}
        amount_fen: {at: Fen, unit: fen}
    certainty: {idempotent: false, query: true, cancel: none, longest_processing_ms: 45000}
  order_query:
    trade_code: FIND
    timeout_ms: 2000
    request:
      Q: {No: "${idem}"}
    reply:
      root: R
      absent: ["0404"]
      state: {at: State, booked: [PAID], cancelled: [VOID]}
      echo:
        idem: {at: No}
"""


def answer(code: str, inside: str, root: str = "R") -> bytes:
    head = f"<Head><Code>{code}</Code><Msg>说明</Msg></Head>"
    payload = f'<?xml version="1.0" encoding="UTF-16"?><{root}>{head}{inside}</{root}>'
    outer = f"<Out><Payload><![CDATA[{payload}]]></Payload></Out>"
    body = (
        '<?xml version="1.0" encoding="utf-8"?><E:Envelope xmlns:E="urn:e"><E:Body>'
        f'<InvokeResponse xmlns="urn:his:second"><output>{escape(outer)}</output></InvokeResponse>'
        "</E:Body></E:Envelope>"
    )
    return http_answer(body.encode("gb18030"))


def hospital_of(world: World) -> Any:
    return world.hospital(parse_profile(PROFILE), site={"branch": "东院"})


def test_bills_in_fen_from_chinese_tags(world: World) -> None:
    """Goal: another encoding, wrapping and unit; the request carries what its profile says."""
    world.answers(answer("AAAAAAA", "<单据><号>7</号><名>龘药</名><分>1005</分></单据>"))
    hospital = hospital_of(world)

    reply = world.net.result(hospital.inquire("bill_query", BillQuery(patient_id="张三")))

    assert reply.body == [
        {"bill_id": "7", "title": "龘药", "amount_fen": 1005, "department": "", "created": ""}
    ]
    sent = b"".join(world.seen).decode("gb18030")
    assert "&lt;病人号&gt;张三&lt;/病人号&gt;&lt;医院&gt;东院-A&lt;/医院&gt;" in sent
    assert "<Invoke xmlns=" in sent
    assert "charset=gb18030" in sent


def test_too_many_rows_are_refused(world: World) -> None:
    """Goal: I11, lists are bounded by the profile."""
    world.answers(answer("0000", "<单据><号>7</号><名>x</名><分>5</分></单据>" * 3))

    reply = world.net.result(hospital_of(world).inquire("bill_query", BillQuery(patient_id="1")))

    assert (reply.ok, reply.code) == (False, "too_many_rows")


def test_confirm_query_and_policy(world: World) -> None:
    """Goal: level L2 without hold and cancel; every verdict by this profile's words."""
    hospital = hospital_of(world)
    policy = hospital.policy(LegKind.BOOK, "")
    assert (policy.on_unknown, policy.give_up) == (OnUnknown.ASK, GiveUp.STOP)
    assert (policy.timeout_ms, policy.absent_wait_ms) == (4_000, 45_000)

    paid, void, gone = (
        answer("0000", "<No>K1</No><Fen>1230</Fen><State>PAID</State>"),
        answer("0000", "<No>K1</No><State>VOID</State>"),
        answer("0404", ""),
    )
    cases = [
        (Verb.DO, paid, Outcome.DONE),
        (Verb.DO, answer("0000", "<No>K1</No><Fen>12.30</Fen>"), Outcome.UNKNOWN),
        (Verb.DO, answer("0101", ""), Outcome.REFUSED),
        (Verb.DO, answer("0000", "<No>K1</No><Fen>1230</Fen>", "X"), Outcome.UNKNOWN),
        (Verb.ASK, paid, Outcome.DONE),
        (Verb.ASK, void, Outcome.REFUSED),
        (Verb.ASK, gone, Outcome.UNKNOWN),
    ]
    for verb, data, outcome in cases:
        world.answers(data)
        other = hospital_of(world)
        order = order_for(other, LegKind.BOOK, verb, held=False)
        reply = world.exchange(other, order)
        assert reply.outcome is outcome, (verb, data)
        assert reply.not_found is (data is gone)


def test_undo_that_the_profile_no_longer_offers_is_not_sent(world: World) -> None:
    """Goal: a payment journaled under a richer profile gets an outcome, not an exception."""
    world.answers(answer("0000", ""))
    hospital = hospital_of(world)

    reply = world.exchange(hospital, order_for(hospital, LegKind.BOOK, Verb.UNDO, held=False))

    assert (reply.outcome, reply.code) == (Outcome.NOT_SENT, "unsupported")
    assert world.seen == []
