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
        "没有 LMK：请用 --config 指定封存的 LMK，或加 --test-lmk 使用公开的测试 LMK"
        "（仅供演示与测试）",
        "no LMK: give --config for sealed LMKs, or --test-lmk for the published test LMKs (demo "
        "and tests only)",
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
    "audit_key_mode": (
        "审计密钥文件的权限必须是 0600：{}",
        "the audit key's file must have mode 0600: {}",
    ),
    "audit_key_unreadable": ("无法读取审计密钥：{}", "cannot read the audit key: {}"),
    "audit_key_length": (
        "审计密钥文件须恰为 32 字节：{}",
        "the audit key's file must hold exactly 32 bytes: {}",
    ),
    "audit_key_unwritable": (
        "无法新建审计密钥文件（已存在？）：{}",
        "cannot make the audit key's file (is it there already?): {}",
    ),
    "audit_key_made": (
        "审计密钥 {0.id} 已写入。请在另一介质上封存一份，供审计人员验证。",
        "audit key {0.id} is written. Keep a sealed copy elsewhere for the auditors.",
    ),
    "audit_folder": ("没有这个文件夹：{}", "there is no such folder: {}"),
    "audit_unreadable_log": ("无法读取审计日志：{}", "cannot read the audit log: {}"),
    "audit_sound": (
        "审计日志完整：{0.records} 条记录，崩溃后续写 {0.recoveries} 次；链尾 {0.last}",
        "the audit log is sound: {0.records} records, {0.recoveries} times continued after a "
        "crash; head {0.last}",
    ),
    "audit_torn": (
        "末尾有 {} 字节未写完（崩溃或正在写入），下次启动时由 log.recovered 记录封闭",
        "{} bytes at the end are unfinished (a crash, or being written); a log.recovered record "
        "will close them at the next start",
    ),
    "audit_head_missing": (
        "审计日志已被破坏：缺少 head 文件",
        "the audit log is broken: the head file is missing",
    ),
    "audit_head_changed": (
        "审计日志已被破坏：head 文件被改动，或密钥不对",
        "the audit log is broken: the head file was changed, or this is not its key",
    ),
    "audit_beginning_missing": (
        "审计日志不完整：{0.place} 从记录 {0.found} 开始，之前的文件不在"
        "（可用 --archive 或 --known）",
        "the audit log is not whole: {0.place} begins with record {0.found}, the files before it "
        "are not here (see --archive and --known)",
    ),
    "audit_other_chain": (
        "审计日志已被破坏：{0.place} 的记录 {0.expected} 与已知的链不同（日志被重建或回退）",
        "the audit log is broken: record {0.expected} at {0.place} is not the known one (the log "
        "was begun anew or set back)",
    ),
    "audit_truncated": (
        "审计日志已被破坏：末尾被截断，记录 {0.expected} 已不存在",
        "the audit log is broken: it was cut off, record {0.expected} is gone",
    ),
    "audit_unreadable": (
        "审计日志已被破坏：{0.place} 处应为记录 {0.expected}，却不是记录（被改动或插入）",
        "the audit log is broken: at {0.place}, where record {0.expected} belongs, is none "
        "(changed or inserted)",
    ),
    "audit_changed": (
        "审计日志已被破坏：{0.place} 的记录 {0.expected} 被改动，或不是用此密钥写的",
        "the audit log is broken: record {0.expected} at {0.place} was changed, or not written "
        "under this key",
    ),
    "audit_out_of_order": (
        "审计日志已被破坏：{0.place} 处应为记录 {0.expected}，却是 {0.found}（被删除、插入或调换）",
        "the audit log is broken: at {0.place}, where record {0.expected} belongs, is {0.found} "
        "(deleted, inserted or reordered)",
    ),
    "audit_torn_missing": (
        "审计日志已被破坏：{0.place} 的记录 {0.expected} 封闭的残行已被删除",
        "the audit log is broken: the unfinished line that record {0.expected} at {0.place} "
        "closes was taken away",
    ),
    "bench_no_tls": ("压测不支持 TLS 地址", "the bench does not speak TLS"),
    "bench_seconds": ("--seconds 至少为 0.1", "--seconds: at least 0.1"),
    "soak_counts": (
        "--commands 与 --connections 至少为 1",
        "--commands, --connections: at least 1",
    ),
    "bench_failed": ("测试失败：{}", "the test failed: {}"),
    "audit_in_use": ("审计日志正被另一个进程使用：{}", "another process writes this audit log: {}"),
    "audit_not_sound": (
        "审计日志被破坏，拒绝服务（见 yyt hsm audit verify）：{}",
        "the audit log is broken, no service (see yyt hsm audit verify): {}",
    ),
    "audit_cannot_write": ("审计日志无法写入：{}", "the audit log cannot be written: {}"),
    "tls_files": ("TLS 证书或密钥不可用：{}", "the TLS certificate or key cannot be used: {}"),
    "one_of_two": (
        "请给出 --config 文件，或 --test-lmk 与 --listen（仅供演示与测试）",
        "give --config FILE, or --test-lmk and --listen (demo and tests only)",
    ),
    "banner_test_mode": (
        "**** 警告：测试模式。本机密钥仅供测试，绝不可用于真实密钥、卡号或密码。****",
        "**** WARNING: test mode. Its LMKs are for tests: never give it a live key, card or PIN. "
        "****",
    ),
    "unattended": (
        "无人值守启动失败，LMK 未全部打开：{}",
        "the unattended start failed, not every LMK opened: {}",
    ),
    "officers_file": ("人员文件不可用：{}", "the officers' file cannot be used: {}"),
    "console_listens": (
        "测试加密机正在监听 {}；输入主机指令，或 help",
        "a test key service listens on {}; type a host command, or help",
    ),
    "console_unknown": ("没有这个指令：{}", "there is no such command: {}"),
}


def language() -> str:
    """``en`` or ``zh``, from the environment's YYT_LANG (which ``yyt --lang`` sets)."""
    return "en" if os.environ.get("YYT_LANG") == "en" else "zh"


def say(name: str, what: object = "") -> str:
    """A sentence of the table, with ``what`` in its place."""
    return _TEXTS[name][language() == "en"].format(what)
