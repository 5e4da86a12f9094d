"""Names, formats and lengths of data objects (EMV book 3 annex A, PBOC 3.0 part 5).

Formats: n numeric (BCD, left zeros), cn compressed numeric (BCD, right F), an and ans text,
b binary, dol a data object list, t a template.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


class Tag(Struct, frozen=True):
    """One kind of data object. Lengths in bytes; ``secret``: shown only when asked for (I12)."""

    name: str
    name_zh: str
    form: str
    shortest: int = 0
    longest: int = 255
    secret: bool = False


_TABLE: Final = """\
42|Issuer identification number|发卡行标识|n|3|3
4F|Application identifier|应用标识符|b|5|16
50|Application label|应用标签|ans|1|16
56|Track 1 data|磁道 1 数据|ans|0|76|secret
57|Track 2 equivalent data|磁道 2 等效数据|b|8|19|secret
5A|Application PAN|主账号|cn|6|10|secret
5F20|Cardholder name|持卡人姓名|ans|0|26|secret
5F24|Application expiration date|应用失效日期|n|3|3
5F25|Application effective date|应用生效日期|n|3|3
5F28|Issuer country code|发卡行国家代码|n|1|2
5F2A|Currency code|交易货币代码|n|2|2
5F2D|Language preference|首选语言|an|2|8
5F30|Service code|服务码|n|2|2
5F34|PAN sequence number|主账号序列号|n|1|1
5F36|Currency exponent|交易货币指数|n|1|1
5F50|Issuer URL|发卡行 URL|ans
61|Application template|应用模板|t
6F|FCI template|文件控制信息模板|t
70|Record template|记录模板|t
71|Issuer script template 1|发卡行脚本模板 1|t
72|Issuer script template 2|发卡行脚本模板 2|t
73|Directory discretionary template|目录自定义模板|t
77|Response template, format 2|响应模板格式 2|t
80|Response template, format 1|响应模板格式 1|b
81|Amount, authorised (binary)|授权金额（二进制）|b|4|4
82|Application interchange profile|应用交互特征|b|2|2
83|Command template|命令模板|b
84|Dedicated file name|专用文件名|b|5|16
86|Issuer script command|发卡行脚本命令|b|1|255
87|Application priority indicator|应用优先指示器|b|1|1
88|Short file identifier|短文件标识符|b|1|1
89|Authorisation code|授权码|an|6|6
8A|Authorisation response code|授权响应码|an|2|2
8C|Card risk management DOL 1|卡片风险管理数据对象列表 1|dol|0|252
8D|Card risk management DOL 2|卡片风险管理数据对象列表 2|dol|0|252
8E|Cardholder verification method list|持卡人验证方法列表|b|8|252
8F|CA public key index|认证中心公钥索引|b|1|1
90|Issuer public key certificate|发卡行公钥证书|b
91|Issuer authentication data|发卡行认证数据|b|8|16
92|Issuer public key remainder|发卡行公钥余项|b
93|Signed static application data|签名的静态应用数据|b
94|Application file locator|应用文件定位器|b|4|252
95|Terminal verification results|终端验证结果|b|5|5
97|Hash DOL|交易证书数据对象列表|dol|0|252
9A|Date|交易日期|n|3|3
9B|Status information|交易状态信息|b|2|2
9C|Business type|交易类型|n|1|1
9D|Directory definition file name|目录定义文件名|b|5|16
9F01|Acquirer identifier|收单行标识|n|6|6
9F02|Amount, authorised|授权金额|n|6|6
9F03|Amount, other|其它金额|n|6|6
9F04|Amount, other (binary)|其它金额（二进制）|b|4|4
9F05|Application discretionary data|应用自定义数据|b|1|32
9F06|Application identifier, terminal|终端应用标识符|b|5|16
9F07|Application usage control|应用用途控制|b|2|2
9F08|Application version, card|卡片应用版本号|b|2|2
9F09|Application version, terminal|终端应用版本号|b|2|2
9F0B|Cardholder name, extended|持卡人姓名扩展|ans|0|45|secret
9F0D|Issuer action code, default|发卡行行为代码（缺省）|b|5|5
9F0E|Issuer action code, denial|发卡行行为代码（拒绝）|b|5|5
9F0F|Issuer action code, online|发卡行行为代码（联机）|b|5|5
9F10|Issuer application data|发卡行应用数据|b|0|32
9F11|Issuer code table index|发卡行代码表索引|n|1|1
9F12|Application preferred name|应用首选名称|ans|1|16
9F13|Last online ATC register|上次联机应用交易计数器|b|2|2
9F14|Lower consecutive offline limit|连续脱机交易下限|b|1|1
9F15|Merchant category code|商户类别码|n|2|2
9F16|Merchant identifier|商户标识|ans|15|15
9F17|PIN try counter|PIN 尝试计数器|b|1|1
9F18|Issuer script identifier|发卡行脚本标识符|b|4|4
9F1A|Terminal country code|终端国家代码|n|2|2
9F1B|Terminal floor limit|终端最低限额|b|4|4
9F1C|Terminal identification|终端标识|an|8|8
9F1D|Terminal risk management data|终端风险管理数据|b|1|8
9F1E|Interface device serial number|接口设备序列号|an|8|8
9F1F|Track 1 discretionary data|磁道 1 自定义数据|ans|0|255|secret
9F20|Track 2 discretionary data|磁道 2 自定义数据|cn|0|255|secret
9F21|Time|交易时间|n|3|3
9F22|CA public key index, terminal|终端认证中心公钥索引|b|1|1
9F23|Upper consecutive offline limit|连续脱机交易上限|b|1|1
9F26|Application cryptogram|应用密文|b|8|8
9F27|Cryptogram information data|密文信息数据|b|1|1
9F2D|ICC PIN encipherment certificate|IC 卡 PIN 加密公钥证书|b
9F32|Issuer public key exponent|发卡行公钥指数|b|1|3
9F33|Terminal capabilities|终端性能|b|3|3
9F34|CVM results|持卡人验证方法结果|b|3|3
9F35|Terminal type|终端类型|n|1|1
9F36|Application transaction counter|应用交易计数器|b|2|2
9F37|Unpredictable number|不可预知数|b|4|4
9F38|Processing options DOL|处理选项数据对象列表|dol|0|252
9F39|Entry mode|POS 输入方式|n|1|1
9F40|Additional terminal capabilities|附加终端性能|b|5|5
9F41|Sequence counter|交易序列计数器|n|2|4
9F42|Application currency code|应用货币代码|n|2|2
9F44|Application currency exponent|应用货币指数|n|1|1
9F45|Data authentication code|数据认证码|b|2|2
9F46|ICC public key certificate|IC 卡公钥证书|b
9F47|ICC public key exponent|IC 卡公钥指数|b|1|3
9F48|ICC public key remainder|IC 卡公钥余项|b
9F49|Dynamic data authentication DOL|动态数据认证数据对象列表|dol|0|252
9F4A|Static data authentication tag list|静态数据认证标签列表|b
9F4B|Signed dynamic application data|签名的动态应用数据|b
9F4C|ICC dynamic number|IC 卡动态数据|b|2|8
9F4D|Log entry|日志入口|b|2|2
9F4E|Merchant name and location|商户名称|ans|0|40
9F4F|Log format|日志格式|dol|0|252
9F51|Application currency code (PBOC)|应用货币代码（PBOC）|n|2|2
9F52|Default action (PBOC)|应用缺省行为|b|2|4
9F57|Issuer country code (PBOC)|发卡行国家代码（PBOC）|n|2|2
9F5D|Available offline amount|可用脱机消费金额|n|6|6
9F61|Cardholder identity number|持卡人证件号|ans|0|40|secret
9F62|Cardholder identity type|持卡人证件类型|cn|1|1
9F63|Card product identification|卡产品标识信息|b|16|16
9F66|Terminal qualifiers|终端交易属性|b|4|4
9F6B|Track 2 data, contactless|非接磁道 2 数据|b|0|19|secret
9F74|Electronic cash authorisation code|电子现金发卡行授权码|an|6|6
9F77|Electronic cash balance limit|电子现金余额上限|n|6|6
9F79|Electronic cash balance|电子现金余额|n|6|6
9F7A|Electronic cash indicator|电子现金终端支持指示器|n|1|1
A5|FCI proprietary template|文件控制信息专有模板|t
BF0C|FCI issuer discretionary data|发卡行自定义数据|t
DF31|Issuer script results|发卡行脚本结果|b|5|255
DF69|SM algorithm indicator|国密算法支持指示器|n|1|1
"""


def _read() -> dict[str, Tag]:
    table = {}
    for line in _TABLE.splitlines():
        tag, name, name_zh, form, *rest = line.split("|")
        shortest, longest = (int(rest[0]), int(rest[1])) if rest else (0, 255)
        table[tag] = Tag(name, name_zh, form, shortest, longest, rest[2:] == ["secret"])
    return table


TAGS: Final[Mapping[str, Tag]] = _read()
"""Every data object that this kernel or `yyt emv explain` knows by name."""


def form_of(tag: str) -> str:
    """Its format; a tag that is not in the table is binary."""
    return TAGS[tag].form if tag in TAGS else "b"


def fits(tag: str, value: bytes) -> bool:
    """Whether ``value`` has a length, and where numeric the digits, that its format allows."""
    known = TAGS.get(tag)
    if known is None:
        return True
    if not known.shortest <= len(value) <= known.longest:
        return False
    digits = value.hex()
    if known.form == "cn":
        digits = digits.rstrip("f")
    return known.form not in ("n", "cn") or digits.isdecimal()
