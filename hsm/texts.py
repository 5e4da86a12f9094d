"""What the tools of this folder say to people, in Chinese and, with ``--lang en``, in English."""

import os
from typing import Final

_TEXTS: Final = {
    "banner": (
        "**** 警告：正在使用公开的测试 LMK。它人人皆知，绝不可用于真实密钥、卡号或密码。****\n"
        "**** 软件加密机不是安全密码设备；真实的 PIN 交易必须使用经认证的硬件加密机。****",
        "**** WARNING: this runs on the published TEST LMK, which everybody knows. Never give it "
        "a live key, card or PIN. ****\n"
        "**** Software is not a secure cryptographic device: live PIN traffic needs a certified "
        "HSM. ****",
    ),
    "no_lmk": (
        "没有 LMK：请加 --test-lmk 使用公开的测试 LMK（仅供演示与测试）；封存的正式 LMK 尚不支持",
        "no LMK: add --test-lmk for the published test LMK (demo and tests only); sealed live "
        "LMKs are not supported yet",
    ),
    "loopback": (
        "明文 TCP 只允许本机地址（127.0.0.1 或 ::1）；请改用 unix:/路径：{}",
        "plain TCP is allowed on loopback only (127.0.0.1 or ::1); use unix:/PATH: {}",
    ),
    "selftest": ("自检失败，拒绝服务：{}", "self-test failed, no service: {}"),
    "cannot_listen": ("无法监听：{}", "cannot listen: {}"),
    "cannot_reach": ("连接不上加密机：{}", "cannot reach the HSM: {}"),
    "refused": ("加密机拒绝：{}", "the HSM refused: {}"),
    "key_file": (
        "密钥文件须是 16、32 或 48 位十六进制：{}",
        "the key file must hold 16, 32 or 48 hex characters: {}",
    ),
}


def language() -> str:
    """``en`` or ``zh``, from the environment's YYT_LANG (which ``yyt --lang`` sets)."""
    return "en" if os.environ.get("YYT_LANG") == "en" else "zh"


def say(name: str, what: object = "") -> str:
    """A sentence of the table, with ``what`` in its place."""
    return _TEXTS[name][language() == "en"].format(what)
