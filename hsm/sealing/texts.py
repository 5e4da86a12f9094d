"""What sealing says to operators when it refuses, in Chinese and English (as hsm.texts)."""

from typing import Final

from hsm.texts import language

_TEXTS: Final = {
    "bad_file": ("{}：{}：{}", "{}: {}: {}"),
    "plain_file": ("须为普通文件", "a plain file is needed"),
    "owner": ("属主须为 root 或运行者本人", "must be root or the user who runs this"),
    "mode": ("不得对他人开放（chmod 600）", "must not be open to others (chmod 600)"),
    "size": ("须为 1 至 {} 字节", "1 to {} bytes"),
    "size_is": ("须为 {} 字节", "{} bytes are needed"),
    "size_changed": ("读取时大小改变", "it changed while it was read"),
    "exists": ("已存在，未写入", "exists already, nothing was written"),
    "cannot_open": ("无法打开：{}", "cannot be opened: {}"),
    "cannot_write": ("无法写入：{}", "cannot be written: {}"),
    "json": ("须为 JSON", "JSON is needed"),
    "utf8": ("须为 UTF-8 文本", "UTF-8 text is needed"),
    "as_written": (
        "不是原样写成：被编辑过，或字段重复",
        "not as it was written: edited, or a field twice",
    ),
    "belongs": ("应在文件 {} 中", "belongs in {}"),
    "entry_twice": ("其中一项出现两次", "one of them is there twice"),
    "name": (
        "{}：须为一行 1 至 32 个字符，首尾无空格",
        "{}: 1 to 32 characters on one line, no blank at either end",
    ),
    "passphrase_length": (
        "{} 的口令：须为 {} 至 {} 个字符",
        "passphrase of {}: {} to {} characters are needed",
    ),
    "passphrase_text": ("{} 的口令：不是有效文本", "passphrase of {}: not valid text"),
    "same_officer": (
        "同一管理员出现两次：双人控制须两人",
        "the same officer twice: dual control needs two",
    ),
    "same_passphrase": (
        "两位管理员的口令相同：每人只应知道自己的口令",
        "both officers have one passphrase: each must know only their own",
    ),
    "memory": ("argon2id 需要 {} KiB 空闲内存", "argon2id needs {} KiB of free memory"),
    "passphrases_wrong": (
        "口令不能解封（无法判断哪一个有误）",
        "the passphrases do not open it (which of the two is wrong cannot be told)",
    ),
    "no_credentials": (
        "没有 $CREDENTIALS_DIRECTORY：不是带凭据的 systemd 服务",
        "no $CREDENTIALS_DIRECTORY: this is no systemd service with credentials",
    ),
    "does_not_open": ("{} 不能解封", "{} does not open it"),
    "no_sealer_fits": (
        "{} 不是此文件的解封方式；可用：{}",
        "{} is no sealer of this file; its sealers: {}",
    ),
    "changed": ("文件在封存后被改动", "the file was changed after it was sealed"),
    "other_check_value": (
        "校验值与内含的 LMK 不符",
        "the check value is not that of the LMK inside",
    ),
    "published_live": (
        "公开的测试 LMK 不能标为生产",
        "a published test LMK cannot have live status",
    ),
    "sealer_count": ("须有 1 至 {} 个解封方式", "1 to {} sealers are needed"),
    "sealer_twice": ("同一解封方式出现两次", "the same sealer twice"),
    "not_given_back": ("{} 未能还原所封内容", "{} did not give back what it was given"),
    "not_allowed_published": (
        "LMK {} 是公开的测试 LMK：生产模式拒绝",
        "LMK {} is a published test LMK: production mode refuses it",
    ),
    "not_allowed_test": (
        "LMK {} 为测试状态：生产模式拒绝",
        "LMK {} has test status: production mode refuses it",
    ),
    "not_allowed_live": (
        "LMK {} 是生产 LMK：测试模式拒绝",
        "LMK {} is live: test mode refuses it",
    ),
    "token_error": ("{}：{}", "{}: {}"),
    "no_extra": (
        "使用令牌须安装扩展：pip install 'yinyitong[pkcs11]'",
        "tokens need the extra: pip install 'yinyitong[pkcs11]'",
    ),
    "no_library": ("没有 PKCS#11 库：{}", "no PKCS#11 library at {}"),
    "no_softhsm": (
        "未安装 softhsm2（Debian：apt-get install softhsm2）",
        "softhsm2 is not installed (Debian: apt-get install softhsm2)",
    ),
    "key_exists": ("令牌 {} 中已有密钥 {}", "token {}: there is a key {} already"),
    "key_shown": (
        "密钥 {}：必须为敏感且不可导出",
        "key {}: it must be sensitive and not extractable",
    ),
    "token_live_only": (
        "令牌只存放生产 LMK：测试 LMK 请封存于文件",
        "a token holds live LMKs only: seal a test LMK in a file",
    ),
    "token_scheme": (
        "令牌只存放 variant 与 aes-block LMK，不支持 {}",
        "a token holds variant and aes-block LMKs, not {}",
    ),
    "token_weak": (
        "某掩码密钥左右两半相同，等于单 DES：请另造 LMK",
        "a masked key has equal halves, single DES: make another LMK",
    ),
    "token_lmk_exists": ("令牌 {} 中已有 LMK {}", "token {} holds an LMK {} already"),
    "token_lmk_absent": ("令牌 {} 中没有 LMK {}", "token {} holds no LMK {}"),
    "token_head": (
        "LMK {}：令牌中的描述损坏、重复或不属于它",
        "LMK {}: its head in the token is damaged, doubled or foreign",
    ),
    "token_key_absent": ("LMK {}：令牌中没有密钥 {}", "LMK {}: the token holds no key {}"),
    "token_keys_changed": (
        "LMK {}：令牌中的密钥不是当初存入的",
        "LMK {}: its keys in the token are not those put there",
    ),
}


def text_of(code: str, *what: object) -> str:
    """The sentence of a code, with ``what`` in its places."""
    return _TEXTS[code][language() == "en"].format(*what)
