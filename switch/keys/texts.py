"""What ``yyt key`` says to officers, in Chinese and, with ``--lang en``, in English."""

import os
from typing import Final

_TEXTS: Final = {
    "title": (
        "密钥库：LMK 之下的密钥，其归属、有效期与状态",
        "the key store: keys under the LMK, their owners, validity and states",
    ),
    "example": ("示例", "example"),
    "software": (
        "软件加密机不是安全密码设备：真实 PIN 业务须用经过认证的加密机",
        "A software HSM is not a secure cryptographic device: live PIN traffic needs a certified"
        " HSM",
    ),
    "config": ("交换机配置文件（数据库与加密机）", "the switch's configuration (database, HSM)"),
    "json": ("输出 JSON", "print JSON"),
    "list": ("列出密钥", "list keys"),
    "all": ("包括已销毁的", "destroyed ones too"),
    "show": ("显示一个密钥的各版本与历史", "show all versions of a key and its history"),
    "import": (
        "导入密钥：已在 LMK 之下、在 ZMK 之下，或 TR-31 密钥块",
        "keep a key that comes under the LMK, under a ZMK, or as a TR-31 block",
    ),
    "export": ("在 ZMK 之下导出密钥", "take a key out under a ZMK"),
    "generate": ("由加密机生成密钥", "have the HSM make a key"),
    "rotate": (
        "启用新版本，旧版本退役",
        "begin a new version; the one before it retires",
    ),
    "retire": ("停用密钥", "take a key out of use"),
    "destroy": (
        "销毁已停用的版本（留有记录）",
        "destroy a version that is out of use; a record stays",
    ),
    "rotate-lmk": (
        "更换整个密钥库的 LMK（交换机照常运行；可中断后继续）",
        "move all keys to another LMK while the switch runs; goes on after a break",
    ),
    "check": (
        "请加密机核对每个密钥的校验值",
        "have the HSM check the check value of every key",
    ),
    "name": ("密钥名：小写字母、数字、. _ -", "its name: small letters, digits, . _ -"),
    "usage": ("用途", "what it is for"),
    "type": ("密钥类型码（默认按用途）", "key type code (default: by usage)"),
    "lmk": ("所用 LMK 编号（默认为配置中的）", "id of the LMK (default: the configured one)"),
    "scheme": ("密钥方案", "key scheme"),
    "cryptogram": (
        "密文（绝不是明文）：U…、T…、S…，可带 %%NN",
        "the cryptogram, never a clear key: U…, T…, S…, with %%NN where needed",
    ),
    "cryptogram_file": ("从文件读密文，- 为标准输入", "read it from a file; - is stdin"),
    "under": ("它在哪个 ZMK 之下：key:名", "the ZMK that it is under: key:NAME"),
    "check_value": ("应有的校验值（6 至 16 位）", "the check value it must have (6 to 16 hex)"),
    "pending": ("先存入，暂不启用", "keep it, do not use it yet"),
    "activate": ("启用待用版本", "use the version that is pending"),
    "make": ("由加密机生成", "have the HSM make it"),
    "not_before": ("有效期起（如 2026-01-31）", "valid from (2026-01-31, UTC)"),
    "not_after": (
        "有效期止：此后不再发起新扣款，冲正照常",
        "valid until: then no new debits, reversals as ever",
    ),
    "hospital": ("医院", "hospital"),
    "bank": ("银行（渠道名）", "bank (name of the channel)"),
    "merchant_role": ("结算类别（门诊/住院）", "clearing: outpatient or inpatient"),
    "merchant": ("商户号", "merchant (F42)"),
    "terminal": ("终端号", "terminal"),
    "version": ("版本", "version"),
    "yes": ("不再询问", "do not ask"),
    "from": ("旧 LMK 编号", "id of the old LMK"),
    "to": ("新 LMK 编号", "id of the new LMK"),
    "wait": ("等待各节点启用新密钥的秒数", "seconds to wait for the nodes to take the keys"),
    "finish": (
        "确认再无任何引用旧 LMK 之处，结束更换",
        "make sure that nothing refers to the old LMK, and end the rotation",
    ),
    "no_schema": (
        "此数据库中还没有密钥库；先执行 yyt journal migrate",
        "this database holds no key store yet: run yyt journal migrate",
    ),
    "away": ("数据库连接不上", "the database cannot be reached"),
    "refused": ("加密机拒绝", "the HSM refused"),
    "authority": (
        "（须两名安全官先授权：yyt hsm auth on --for {0} …）",
        " (two officers must authorise it first: yyt hsm auth on --for {0} …)",
    ),
    "nothing": ("没有密钥", "no keys"),
    "no_key": ("密钥库中没有此密钥", "the key store holds no such key"),
    "kept": ("已存入", "kept"),
    "retired": ("已停用", "retired"),
    "destroyed": (
        "已销毁。含有其密文的备份须一并清除：数据库备份、WAL 归档、配置副本",
        "destroyed. Purge it from the backups too: of the database, its WAL, copies of files",
    ),
    "type_name": ("将销毁 {0}。请输入密钥名确认：", "{0} will be destroyed. Type its name: "),
    "not_confirmed": ("未确认，什么也没做", "not confirmed: nothing was done"),
    "moved": (
        "全部密钥已在 LMK {0} 之下",
        "all keys are under LMK {0}",
    ),
    "waits": ("尚须等待", "still to wait for"),
    "then_finish": (
        "随后执行：yyt key rotate-lmk --from {0} --to {1} --finish",
        "then run: yyt key rotate-lmk --from {0} --to {1} --finish",
    ),
    "finished": (
        "再无任何密钥引用 LMK {0}：将 lmk_id 改为 {1} 并逐个重启节点后，主管可以销毁它",
        "nothing refers to LMK {0} any more: write lmk_id {1}, restart the nodes one by one, then "
        "the officers may destroy it",
    ),
    "unfinished": ("不能结束", "cannot be ended"),
    "right": ("{0} 个密钥校验值均正确", "{0} keys have their check values"),
    "wrong": ("校验值不符或读不出", "wrong, or cannot be read"),
    "h_name": ("名称", "name"),
    "h_version": ("版本", "version"),
    "h_usage": ("用途", "usage"),
    "h_type": ("类型", "type"),
    "h_lmk": ("LMK", "LMK"),
    "h_check": ("校验值", "check value"),
    "h_state": ("状态", "state"),
    "h_owner": ("归属", "owner"),
    "h_until": ("有效期止", "until"),
    "h_at": ("时间", "at"),
    "h_by": ("何人", "by"),
    "h_what": ("何事", "what"),
    "h_detail": ("说明", "detail"),
}


def say(name: str, *values: object) -> str:
    """A sentence in the officer's language; ``name`` must exist (KeyError)."""
    text = _TEXTS[name][os.environ.get("YYT_LANG") == "en"]
    return text.format(*values) if values else text
