"""Published exchanges: what real devices and open simulators answered, byte for byte.

U = softwaregroup-bg/ut-codec-payshield (test/config/test.js: a payShield with the TDES key-block
test LMK as id 01), T = nickntg/thalessimulatorlibrary (ThalesCore.Tests: the variant test LMK),
X = ANSI X9.24-1 annex, H = the project's own table of known answers.
"""

import pytest

from tests.interop.host import Host
from tests.interop.oracle import KEY_A, dukpt_variant, from_s_block, lmk, pin_block, tdes

ZMK = "S00072K0TB00E0001DB045F29C053EEFF7B9425B3A88C7258EB7EA7E40E2C47878647072A"
ZPK = "S00072P0TB00E0001EA421618B34F5FA1A77F7CF6480111B97CF0FAE7BD77D589EC921EF9"
ZPK_2 = "S00072P0TB00E00010D869FE84C1F77AE64E0019151533363D4CCE7E1C3F89F3D86115EE8"
PVK_IBM = "S00072V1TN00E00010AE0AD2B1990AB407FAD15059E287760A05DF4DA2391EAB138877E22"
PVK_VISA = "S00072V2TN00E0001E80A2926443C3AF11BF0317C669FA0EA0E100ABDF92BF7A3AF232D4C"
DEK = "S00072D0TN00E0001BD79343066F46B9C1279E2DE4382E56E6DD5BDCE0F850C7E444799D9"
MAK = "S00072M1TN00E0001FFE01E95CF21BDD0D74B6BEB70E3D90842C137DCA39C1B162C6238D5"
CVK = "S00072C0TN00E0001A417975993E2331918759DD1656AC94306BE01C19FDE29E83A93AB42"
BDK = "S00072B0TN00E0001566678078B5337915F4860C92F3FF2D6A6B11E8786F22DC8032EB758"
MK_AC = "S00072E0TN00S00012574E37226ADAA76E5B8F2C4F14AD34F1F054EF52CB56BE2F4D03BEA"
PART_1 = "S0007252TBc1E0001C9ED3207A1A79BCA1CAB8C05FEC9429E2232067D1F9E908F15E9DCA7"
PART_2 = "S0007252TBc2E000125276E9C8BC0FA0F70109274FAB9647EF89A189C019465182A345009"
TABLE = "709F26B22464E96A"  # a decimalisation table under the LMK
IBM = f"0106850103093936{TABLE}50103093936N"

U_EXCHANGES = {
    "BU": (f"BUFFF{ZMK};FFF;001", "002356F2"),
    "BU-own-id": (f"BUFFF{ZMK};FFF;001%01", "002356F2"),
    "CW-block": (f"CW{CVK}502265400089000092;2010620", "00181"),
    "CY-block": (f"CY{CVK}181502265400089000092;2010620", "00"),
    "CY-block-wrong": (f"CY{CVK}182502265400089000092;2010620", "01"),
    "M8-block": (f"M801011FFF{MAK}0008ABCDEF12F9369211%01", "00"),
    "M6-block": (f"M601011FFF{MAK}0008ABCDEF12%01", "00F9369211"),
    "M6-block-own-id": (f"M601011FFF{MAK}0008ABCDEF12", "00F9369211"),
    "M0-block": (f"M00011FFF{DEK}0010ABCDEF1234567890", "0000106DD932DE48520285"),
    "M2-block": (f"M20011FFF{DEK}00106DD932DE48520285%01", "000010ABCDEF1234567890"),
    "FW-block": (f"FWFFF{ZPK}{PVK_VISA}AD72F973446E84E7018501030939361%01", "007548"),
    "EC-block": (f"EC{ZPK}{PVK_VISA}AD72F973446E84E70185010309393617548%01", "00"),
    "EC-block-wrong": (f"EC{ZPK}{PVK_VISA}AD72F973446E84E70185010309393617549%01", "01"),
    "EA-block": (f"EA{ZPK}{PVK_IBM}12967CDB6E3D492E28{IBM}309783FFFFFF%01", "00"),
    "EA-block-wrong": (f"EA{ZPK}{PVK_IBM}12967CDB6E3D492E28{IBM}309784FFFFFF%01", "01"),
    "BK-block": (f"BKFFF{ZPK}{PVK_IBM}967CDB6E3D492E28{IBM}%01", "00309783FFFFFF"),
    "DU-block": (
        f"DUFFF{ZPK}{PVK_IBM}967CDB6E3D492E28{IBM}309783FFFFFF967CDB6E3D492E28%01",
        "00309783FFFFFF",
    ),
}

GW_TEXT = bytes.fromhex("ABCDEF1234")
KQ_DATA = bytes.fromhex(
    "00000000000000000000000009780000000000097820121431C2C6A0915800740003A00000000000"
)
KQ_HEAD = bytes.fromhex("56000000000000017400C2C6A091")
ARQC = bytes.fromhex("46E98E9B85E9C640")

T_EXCHANGES = {
    "A8-single": (
        "A8002U1457FF6ADF6250C66C368416B4C9D3837BB126F2BE631486Z",
        "0016224FDAA779AFB31FFD3C",
    ),
    "A8-double": (
        "A8002U1457FF6ADF6250C66C368416B4C9D383U8463435FC4B4DAA0C49025272C29B12CU",
        "00U2C62A23D001B97412950CD8BE66C7639070753",
    ),
    "A6-double": (
        "A6001U71979DEB8587E2734F1E99D5DCAEF9ACU482C4E722BB0CF1845E1E5BD16310119U",
        "00U0E07CDC0161A0DE3B5AA44DF227EC9DEABDEBC",
    ),
    "A6-single": (
        "A6001U1457FF6ADF6250C66C368416B4C9D3832B930A07119F93A8Z",
        "00BAB32D775A38E4AB73936E",
    ),
    "A6-single-zmk": ("A60024ED06495741C280C35ED0C0EA7F7D0FAZ", "000406FBB23A5214DF0035BB"),
    "A8-single-zmk": ("A80024ED06495741C280C0406FBB23A5214DFZ", "0035ED0C0EA7F7D0FA0035BB"),
    "A4-single": (
        "A43002Z3B723AF4CF00A7A6954111D254A90D17EAAF49979FA95742",
        "00FE018240022A76DCA192FE",
    ),
    "A4-double": (
        "A43000XX2EC8A0412B5D0E86E3C1E5ABFA19B3F5XFF43378ED5D85B1BC465BF000335FBF1"
        "XA235EDF4C58A2CB0C84641D07319CF21",
        "00XC0BC1DFFC449A402DAB71250CA5869CC8CE396",
    ),
    "BU-tpk": ("BU0200406FBB23A5214DF", "000035BBE340A4B763"),
    "BU-zmk": ("BU000ACE9B8A0BE50C09B", "004BD5E2482582C2C4"),
    "BU-zmk-double": ("BU001U93CB819F8FEE4F78BF9C4CDD84750DB1", "00B70AD25C94548822"),
    "BU-zpk-double": ("BU011U1EF828AA8F6B80EB83E19FBC373F3A85", "006F1E3F74F826B7EB"),
    "DC-wrong": (
        "DC0406FBB23A5214DF367930344805B1FAD6146EF4ED7502B3AE7A708F877571A90155000002532113962",
        "01",
    ),
    "DC-diebold-wrong": (
        "DCU8463435FC4B4DAA0C49025272C29B12CX367930344805B1FAD6146EF4ED7502B302"
        "8DCC093FB0471F0355000002532113962",
        "01",
    ),
    "EC-double-wrong": (
        "ECU1EF828AA8F6B80EB83E19FBC373F3A85X367930344805B1FAD6146EF4ED7502B391D"
        "DDA0A7C12CFAA0155000002532113962",
        "01",
    ),
    "CC-to-diebold": (
        "CCBAB32D775A38E4ABU1EF828AA8F6B80EB83E19FBC373F3A8512F7808F2CBEC631680303550000025321",
        "000482206CCD872229C203",
    ),
    "CC-to-iso0": (
        "CCBAB32D775A38E4ABU1EF828AA8F6B80EB83E19FBC373F3A8512F7808F2CBEC631680301550000025321",
        "000491DDDA0A7C12CFAA01",
    ),
    "CA-diebold": (
        "CA0406FBB23A5214DFBAB32D775A38E4AB12DC80B186C30902B00303550000025321",
        "0004F7808F2CBEC6316803",
    ),
    "CA-diebold-iso0": (
        "CA0406FBB23A5214DFBAB32D775A38E4AB12DC80B186C30902B00301550000025321",
        "0004E98FFDA17099AF5501",
    ),
    "CA-iso0": (
        "CA0406FBB23A5214DFBAB32D775A38E4AB12AE7A708F877571A90101550000025321",
        "0004E98FFDA17099AF5501",
    ),
    "CA-double": (
        "CAU8463435FC4B4DAA0C49025272C29B12CU1EF828AA8F6B80EB83E19FBC373F3A85126428EB9"
        "4035AF53B0101550000025321",
        "000491DDDA0A7C12CFAA01",
    ),
    "CA-double-diebold": (
        "CAU8463435FC4B4DAA0C49025272C29B12CU1EF828AA8F6B80EB83E19FBC373F3A851"
        "26428EB94035AF53B0103550000025321",
        "000482206CCD872229C203",
    ),
    "FA-16": (
        "FAU1457FF6ADF6250C66C368416B4C9D3832B930A07119F93A8",
        "00BAB32D775A38E4AB73936E441E46819D",
    ),
    "FA-6": ("FAU1457FF6ADF6250C66C368416B4C9D3832B930A07119F93A8;XZ1", "00BAB32D775A38E4AB73936E"),
    "GC-16": (
        "GCU1457FF6ADF6250C66C368416B4C9D383BAB32D775A38E4AB",
        "002B930A07119F93A873936E441E46819D",
    ),
    "GC-6": ("GCU1457FF6ADF6250C66C368416B4C9D383BAB32D775A38E4AB;ZZ1", "002B930A07119F93A873936E"),
    "FC-single-zmk": ("FC4ED06495741C280C35ED0C0EA7F7D0FA", "000406FBB23A5214DF0035BBE340A4B763"),
    "FC-single-zmk-6": ("FC4ED06495741C280C35ED0C0EA7F7D0FA;ZZ1", "000406FBB23A5214DF0035BB"),
    "FC-16": (
        "FCU1457FF6ADF6250C66C368416B4C9D38355FF9012A3854818",
        "000406FBB23A5214DF0035BBE340A4B763",
    ),
    "FC-scheme": (
        "FCU1457FF6ADF6250C66C368416B4C9D383XF7D53991678347EFB3026882F724E6EE;XU1",
        "00U8463435FC4B4DAA0C49025272C29B12C070753",
    ),
    "FE-16": ("FE4ED06495741C280C0406FBB23A5214DF", "0035ED0C0EA7F7D0FA0035BBE340A4B763"),
    "FE-6": ("FE4ED06495741C280C0406FBB23A5214DF;ZZ1", "0035ED0C0EA7F7D0FA0035BB"),
    "FE-scheme": (
        "FEU1457FF6ADF6250C66C368416B4C9D383U8463435FC4B4DAA0C49025272C29B12C;XX1",
        "00XF7D53991678347EFB3026882F724E6EE070753",
    ),
    "FK-zek": (
        "FK04ED06495741C280CX2C0E3EE7A5EFFA00C3CD721FE6E66B82;ZU1",
        "00U913248D2781448EB99849CFFE39768AD468318",
    ),
    "FK-zak": (
        "FK14ED06495741C280CXFF85E926874B18C660410136CE46BD48;ZU0",
        "00U9564EC9D49DE4E59BE82FE34B5CB17864BF61EA8437E3EDA",
    ),
    "CW-u": ("CWU9B4934384B19946B040CD702B4D581454123456789012345;8701101", "00561"),
    "CW-pair": ("CW0A61E674E88C6A7EEABC38C2B2BB492F4123456789012345;8701101", "00561"),
    "CW-13": ("CW0A61E674E88C6A7EEABC38C2B2BB492F4999988887777;9105111", "00649"),
    "CY-u": ("CYU9B4934384B19946B040CD702B4D581455614123456789012345;8701101", "00"),
    "CY-wrong": ("CYU9B4934384B19946B040CD702B4D581451114123456789012345;8701101", "01"),
    "CY-pair": ("CY0A61E674E88C6A7EEABC38C2B2BB492F6494999988887777;9105111", "00"),
    "CU-wrong": (
        "CU001U1EF828AA8F6B80EB83E19FBC373F3A85X367930344805B1FAD6146EF4ED7502B391DDDA0"
        "A7C12CFAA0155000002532113961262D1CC277EF0BB4",
        "01",
    ),
}


@pytest.mark.parametrize("name", U_EXCHANGES)
def test_a_device_answered_this(host: Host, name: str) -> None:
    """U: requests and answers of a real payShield under the TDES key-block test LMK."""
    request, expected = U_EXCHANGES[name]
    answer = host.ask(request)
    assert answer.error + answer.text == expected


@pytest.mark.parametrize("name", T_EXCHANGES)
def test_the_open_simulator_answered_this(host: Host, name: str) -> None:
    """T: requests and answers under the variant test LMK."""
    request, expected = T_EXCHANGES[name]
    answer = host.ask(request)
    assert answer.error + answer.text == expected


@pytest.mark.parametrize(
    ("ksn", "block"),
    [
        ("FFFF9876543210E00001", "1B9C1845EB993A7A"),
        ("FFFF9876543210E00002", "10A01C8D02C69107"),
        ("FFFF9876543210E00003", "18DC07B94797B466"),
        ("FFFF9876543210E00010", "D5D9638559EF53D6"),
        ("FFFF9876543210EFFC00", "DEFC6F09F8927B71"),
    ],
)
def test_dukpt_of_the_standard(host: Host, ksn: str, block: str) -> None:
    """X, T: PIN 1234, account 401234567890, BDK 0123…; the ZPK block is T's own answer."""
    answer = host.fields(
        "G0U8E3D3E2FD5919657F05A1AA90D32A014U9D961F6AF1D24B38AB37B320022FF57D"
        f"605{ksn}{block}0101401234567890"
    )
    assert answer == "047D26134E85E7DADF01"


def test_form_a_component_key_block(host: Host) -> None:
    """U: two components under LMK 01 give the key with check value 2AE082."""
    answer = host.fields(f"A42FFFS{PART_1}{PART_2}#0000")
    assert answer[:17] == "S0007252TB00E0001"
    assert answer[-6:] == "2AE082"


def test_import_a_thales_block(host: Host) -> None:
    """U: a ZPK under a ZMK (id FF) becomes one under LMK 01 with its attributes, 4FE9FD."""
    block = "S00072P0TB00N00FFE1D89671C973C7F0DAF91CB2EBF379493C08975679001172C89A0AF8"
    answer = host.fields(f"A6FFF{ZMK}{block}S%01")
    assert answer[:17] == "S00072P0TB00N0001"
    assert answer[-6:] == "4FE9FD"


def test_export_a_thales_block(host: Host) -> None:
    """U: A8 with &N: header S00072P0TB00N00FF and the same check value."""
    answer = host.fields(f"A8FFF{ZMK}{ZPK}S%01&N")
    assert answer[:17] == "S00072P0TB00N00FF"
    assert answer[-6:] == "4FE9FD"


def test_generate_and_export_a_block_without_delimiter(host: Host) -> None:
    """U: A0 mode 1 as that client sends it (no ';' before the flag): LMK first, ZMK second."""
    answer = host.fields(f"A01FFFS0{ZMK}S%01#K0T2B00E00")
    assert answer[:17] == "S00072K0TB00E0001"
    assert answer[73:90] == "S00072K0TB00E00FF"
    assert len(answer) == 73 * 2 + 6


def test_translate_pin_between_blocks_of_lmk_01(host: Host) -> None:
    """U: CC under %01: a six-digit PIN comes out as long as it went in."""
    answer = host.fields(f"CC{ZPK}{ZPK_2}12AD72F973446E84E70101850103093936%01")
    assert answer[:2] + answer[-2:] == "0601"


def test_dukpt_mac_of_a_device(host: Host) -> None:
    """U: GW under LMK 01 makes and checks 3E3DEE3DC52E53ED over ABCDEF1234."""
    head = f"1{BDK}A05FFFF0000000000000000".encode()
    answer = host.ask(b"GW4" + head + b"0005" + GW_TEXT + b"%01")
    assert (answer.error, answer.text) == ("00", "3E3DEE3DC52E53ED")
    check = b"GW1" + head + b"3E3DEE3DC52E53ED0005" + GW_TEXT + b"%01"
    assert host.ask(check).error == "00"
    assert host.ask(check.replace(b"3E3D", b"3E3C", 1)).error == "01"


def test_cryptogram_of_a_card(host: Host) -> None:
    """U: KQ scheme 0 under LMK 01 accepts the card's 46E98E9B85E9C640 and refuses another."""
    body = MK_AC.encode() + KQ_HEAD + b"28" + KQ_DATA + b";"
    assert host.ask(b"KQ00" + body + ARQC + b"%01").error == "00"
    refused = host.ask(b"KQ00" + body + bytes(8) + b"%01")
    assert refused.error == "01"
    assert refused.rest in {b"", ARQC}


@pytest.mark.parametrize(
    ("hash_id", "digest"),
    [
        ("01", "2FD4E1C67A2D28FCED849EE1BB76E7391B93EB12"),
        ("02", "9E107D9D372BB6826BD81D3542A419D6"),
        ("06", "D7A8FBB307D7809469CA9ABCB0082E4F8D5651E46D3CDB762D02D0BF37C9E592"),
    ],
)
def test_hash_of_the_fox(host: Host, hash_id: str, digest: str) -> None:
    """T: GM answers the hash in binary."""
    text = "The quick brown fox jumps over the lazy dog"
    assert host.ask(f"GM{hash_id}{len(text):05d}{text}").rest == bytes.fromhex(digest)


def test_known_key_under_the_variant_lmk(host: Host) -> None:
    """H rows 4 and 10: the ZPK cryptograms of 2.4 give check value 08D7B4FB629D0885."""
    for field in ("U063A0E7C0F2124E56192A4510F395ED7", "X8B4ECCAE01B4B17AAC951121A98DB14E"):
        assert host.fields(f"BU011{field}") == "08D7B4FB629D0885"


def test_x919_of_the_standard(host: Host) -> None:
    """H row 5: A1C72E74EA3FA9B6 over 24 characters under key 0123…."""
    zak = lmk("008", KEY_A)
    text = "Now is the time for all "
    assert host.fields(f"M602131008{zak}0018{text}") == "A1C72E74EA3FA9B6"


TAK_1 = bytes.fromhex("E9CB01B93B20914F")  # T: TestData.txt
TAK_2 = bytes.fromhex("0B01A2838FF249AB")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (f"MA{lmk('003', TAK_1)}givemeSOMEMACing", "00170C2BDB"),
        (f"MC{lmk('003', TAK_1)}170C2BDBgivemeSOMEMACing", "00"),
        (f"MC{lmk('003', TAK_1)}170C2BDBgivemeSOMEMACinG", "01"),
        (f"ME{lmk('003', TAK_1)}{lmk('003', TAK_2)}170C2BDBgivemeSOMEMACing", "00D7DA46FC"),
        (f"ME{lmk('003', TAK_1)}{lmk('003', TAK_2)}170C2BDBgivemeSOMEMACinG", "01"),
        (
            "M601032003U19D25F349FD03CC3556BB05F65283CA1004072C29C2371CC9BDB65B779B8E8D37B29"
            "ECC154AA56A8799FAE2F498F76ED92F2",
            "005F1448EE",
        ),
    ],
)
def test_macs_of_the_open_simulator(host: Host, request_: str, expected: str) -> None:
    """T: its MACs, the TAKs of its TestData.txt under our own wrapping."""
    answer = host.ask(request_)
    assert answer.error + answer.text == expected


TPK_71 = "S0007271TN00E00019BAD23B0CEF79E33328CA0568A0E186FC17E8DE738AAF9FB67C6E1FF"
BDK_2 = "S00072B0TN00E0001134E8D68D46BC8356F84F598155A1B5C44199D9847A2A58B64BE091F"
KSN = "FFFF000001315240003A"


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (f"CA{TPK_71}{ZPK}12E57BC634D47179070101600000000000%01", ZPK),
        (f"CA{TPK_71}{BDK}A05{KSN}12E57BC634D47179070101600000000000%01", BDK),
        (f"CA{TPK_71}*{BDK}A05{KSN}12E57BC634D47179070101600000000000%01", BDK),
        (f"G0{BDK}{ZPK}A05{KSN}741311DA9D5D6C320101600000000000%01", ZPK),
        (f"G0{BDK}{BDK_2}A05{KSN}A05{KSN}741311DA9D5D6C320101600000000000%01", BDK_2),
        (f"G0{BDK}*{BDK_2}A05{KSN}A05{KSN}741311DA9D5D6C320101600000000000%01", BDK_2),
    ],
    ids=["CA", "CA-bdk", "CA-flag", "G0", "G0-bdk", "G0-flag"],
)
def test_the_device_s_pin_requests(host: Host, request_: str, target: str) -> None:
    """U: its PIN 340367 reaches ZPK and BDK blocks; a BDK block needs no '*' before it."""
    key = from_s_block(target)[1]
    if target != ZPK:
        key = dukpt_variant(key, KSN, "pin")
    expected = tdes(key, pin_block("01", "340367", "600000000000")).hex().upper()
    assert host.fields(request_) == f"06{expected}01"


def test_the_device_s_tpk_to_the_lmk(host: Host) -> None:
    """U: JC with a TPK of usage 71; NG shows the PIN."""
    held = host.fields(f"JC{TPK_71}E57BC634D471790701600000000000%01")
    assert host.fields(f"NG600000000000{held}%01").rstrip("F") == "340367"
