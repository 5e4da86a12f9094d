"""What ``yyt describe`` says of itself and of frames, in Chinese and English."""

EXAMPLES = """  yyt describe 003C6000030000603100310000080000200000008000120000013130303030303031…
  yyt describe --dialect cups-host --json - < frame.hex
  tail -1 trace.hex | yyt describe --body --dialect ./my-bank.yaml -"""

TEXT = {
    "zh": {
        "about": "逐域解释一条 8583 报文 (屏蔽卡号、磁道、PIN、密钥)。\n"
        "命令行参数会被本机其他用户看到: 生产报文请用 - 从标准输入读。",
        "hex": "十六进制报文, 含或不含长度前缀; - 表示标准输入",
        "dialect": "报文规范名或文件; 不写则自动判断",
        "body": "报文从消息类型开始 (无长度前缀, 无报文头)",
        "unmasked": "不屏蔽 (仅用于测试数据)",
        "json": "输出 JSON",
        "examples": "示例:",
        "exit": "一条报文可以分成几行; 几条报文 (每行一条, 或带长度前缀首尾相接) 逐条解释, \n"
        "--json 时每条一行。"
        "报文有误时先显示出错之前的域, 再指出域与规则。\n"
        "返回码: 0 已解释; 1 报文有误; 2 用法有误",
        "not_hex": "不是十六进制: 第 {0} 个字符 (二进制报文先经 xxd -p 转换)",
        "odd": "十六进制位数是奇数, 少一位或多一位",
        "empty": "没有报文",
        "none": "没有一种内置规范能解开这条报文",
        "nth": "第 {0} 条报文, 共 {1} 条",
        "looks": "看起来是 ",
        "also": "也可能是",
        "reads": "能解开它的内置规范",
        "ascii_length": "4 位 ASCII 长度",
        "binary_length": "2 字节二进制长度",
        "cups_header": "46 字节 CUPS 报文头",
        "tpdu": "TPDU",
        "ascii_mti": "ASCII 消息类型",
        "bcd_mti": "BCD 消息类型",
        "nothing": "不像任何已知的报文开头",
        "message": "报文",
        "unknown": "规范中没有这种业务",
        "header": "报文头",
        "problem": "问题",
    },
    "en": {
        "about": "explain any frame field by field (card, tracks, PIN and keys are masked).\n"
        "Other users of this machine see arguments: pipe live frames in with -.",
        "hex": "the frame in hex, with or without its length prefix; - is stdin",
        "dialect": "name or file of a dialect; without it the likely one is found",
        "body": "the frame begins at its message type (no prefix, no headers)",
        "unmasked": "mask nothing (test data only)",
        "json": "JSON",
        "examples": "examples:",
        "exit": "a frame may be wrapped; of several (one a line, or one behind the other with\n"
        "length prefixes) each is explained, with --json each in a line. Of a bad frame the\n"
        "fields before the mistake are shown, then field and rule.\n"
        "exit code: 0 explained; 1 bad frame; 2 usage",
        "not_hex": "not hexadecimal: character {0} (xxd -p writes binary so)",
        "odd": "an odd number of hexadecimal digits: one is missing or too many",
        "empty": "no frame",
        "none": "no built-in dialect can read this frame",
        "nth": "frame {0} of {1}",
        "looks": "looks like ",
        "also": "could also be",
        "reads": "built-in dialects that read it",
        "ascii_length": "a 4-digit ASCII length",
        "binary_length": "a 2-byte binary length",
        "cups_header": "the 46-byte CUPS header",
        "tpdu": "a TPDU",
        "ascii_mti": "an ASCII message type",
        "bcd_mti": "a BCD message type",
        "nothing": "no known beginning of a frame",
        "message": "message",
        "unknown": "no business of this dialect",
        "header": "header",
        "problem": "problem",
    },
}
