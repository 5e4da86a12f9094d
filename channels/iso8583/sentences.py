"""What is said of dialects and configurations, in Chinese or English (YYT_LANG)."""

import os

_TEXT = {
    "zh": {
        "no_dialect": "没有报文规范 {0}：内置的有 {1}；也可给出文件路径",
        "no_file": "没有报文规范文件 {0}；内置的有 {1}",
        "unreadable": "报文规范 {0} 读不了：{1}",
        "relative": "报文规范 {0}：配置中请写文件的完整路径（如 /etc/yinyitong/{1}）："
        "服务运行时没有自己的当前目录",
        "no_place": "报文规范 {0} 的报文中没有放它的位置，请删去",
    },
    "en": {
        "no_dialect": "no such dialect: {0}; there are {1}, or give a path",
        "no_file": "no such dialect file: {0}; built in are {1}",
        "unreadable": "dialect {0} cannot be read: {1}",
        "relative": "dialect {0}: a configuration names the file by its whole path "
        "(/etc/yinyitong/{1}, say): a service has no current folder of its own",
        "no_place": "no message of dialect {0} has a place for it: leave it out",
    },
}


def english() -> bool:
    """Whether the operator wants English."""
    return os.environ.get("YYT_LANG") == "en"


def sentence(name: str, *values: str) -> str:
    """The sentence of this name in the operator's language."""
    return _TEXT["en" if english() else "zh"][name].format(*values)
