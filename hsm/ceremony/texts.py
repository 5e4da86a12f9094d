"""What ceremonies and officers' tools say, in Chinese and English; refusals are named by code."""

from typing import Final

from hsm.texts import language

_TEXTS: Final = {
    # Prompts.
    "officer": ("安全官{}姓名: ", "Officer {} name: "),
    "custodian": ("分量 {} 的保管人姓名: ", "Custodian of component {}: "),
    "passphrase": ("{} 的口令（不显示）: ", "Passphrase of {} (not shown): "),
    "passphrase_again": ("{} 再输一次口令: ", "The same again, {}: "),
    "component_line": ("分量 {}（不显示）: ", "Component {} (not shown): "),
    "component_again": ("再输一次分量 {}: ", "Component {} again: "),
    "slip_check": (
        "信封上的校验值（没有则回车，改为输入两次）: ",
        "Check value on the slip (none: press Enter and type the component twice): ",
    ),
    "hand_over": (
        "---- 请 {} 到键盘前，其他人离开视线 ----",
        "---- {}: to the keyboard, please; everybody else looks away ----",
    ),
    "component_taken": (
        "分量 {number}/{of} 已录入，校验值 {check_value}",
        "component {number} of {of} is in, check value {check_value}",
    ),
    "whole": ("整体校验值: {}", "Check value of the whole: {}"),
    "confirm_whole": (
        "全体确认后输入上面的校验值（至少 6 位；不符则中止并清除）: ",
        "When all agree, type it (6 characters or more; anything else aborts and wipes): ",
    ),
    "lmk_loaded": (
        "LMK {lmk}（{scheme}）已封存并装载，校验值 {check_value}：{place}",
        "LMK {lmk} ({scheme}) is sealed and loaded, check value {check_value}: {place}",
    ),
    "in_token": (
        "LMK {lmk}（{scheme}）已存入 {place}，校验值 {check_value}。"
        "封存文件仍在：移入保险柜作备份，或清除",
        "LMK {lmk} ({scheme}) is in {place}, check value {check_value}. "
        "The sealed file is still there: take it to a safe as a backup, or wipe it",
    ),
    "token_key_made": ("令牌 {} 中已生成密钥 {}", "token {} has made the key {}"),
    "no_token_unattended": (
        "配置中没有 lmk.unattended 的 pkcs11 令牌",
        "the configuration has no token (sealer: pkcs11) in lmk.unattended",
    ),
    "unlocked": ("已解锁: {}", "unlocked: {}"),
    "sealed_for": ("今后也由其打开: {}", "from now on it opens as well with: {}"),
    "not_opened": ("未打开: {}", "not opened: {}"),
    "locked": ("已锁定，所有 LMK 已清除", "locked, every LMK is forgotten"),
    "granted": ("已授权（剩余秒数）: {}", "authorised (seconds left): {}"),
    "withdrawn": ("授权已结束: {}", "no longer authorised: {}"),
    "added": ("已登记 {name}（{role}）", "{name} is now {role}"),
    "removed": ("已移除 {name}", "{name} is removed"),
    "resealed": (
        "封存文件已改为仅由在场两人打开，其余安全官须重新登记",
        "the sealed files now open for the two present; add other officers again",
    ),
    "destroyed": (
        "LMK {lmk} 已销毁（校验值 {check_value}）。请清除以下备份并签字：",
        "LMK {lmk} is destroyed (check value {check_value}). Purge these copies and sign for it:",
    ),
    "slip_written": (
        "分量已写入 {}，校验值 {}。请打印、签名、封入信封并清除该介质。",
        "the component is in {}, check value {}. Print, sign, seal it, and wipe the medium.",
    ),
    "init_done": ("已建立 {}：{}", "made in {}: {}"),
    "init_next": (
        "下一步：yyt hsm serve --config {0}；登记保管人，再举行密钥仪式：yyt hsm lmk load{1}",
        "next: yyt hsm serve --config {0}, name the custodians, then the key ceremony: "
        "yyt hsm lmk load{1}",
    ),
    "init_next_test": (
        "下一步：yyt hsm serve --config {0}；再 yyt hsm unlock{1}",
        "next: yyt hsm serve --config {0}, then yyt hsm unlock{1}",
    ),
    "whole_key": (
        "密钥 {key_type}: {key}  校验值 {check_value}",
        "key of type {key_type}: {key}  check value {check_value}",
    ),
    # Refusals by code.
    "no_terminal": ("需要终端（/dev/tty），不能从管道输入口令", "a terminal (/dev/tty) is needed"),
    "differs": ("两次输入不一致", "the two entries differ"),
    "same_person": ("必须是不同的两个人", "two different people are needed"),
    "wrong_login": ("姓名或口令不对", "name or passphrase is wrong"),
    "wait": ("口令错误过多，请等 {} 秒", "too many wrong passphrases: wait {} s"),
    "no_officer": ("{} 不是安全官", "{} is no officer"),
    "nobody": ("没有此人：{}", "there is nobody of this name: {}"),
    "name_taken": ("姓名已被占用：{}", "the name is taken: {}"),
    "bad_name": ("姓名不可用：{}", "this cannot be a name: {}"),
    "people_full": ("人员文件已满", "the file of people is full"),
    "people_file": ("人员文件无效：{}", "this is no sound file of people: {}"),
    "last_officers": ("至少保留两名安全官", "two officers must remain"),
    "not_oneself": ("在场的安全官不能移除自己", "an officer present cannot remove himself"),
    "nothing_opened": ("没有 LMK 可打开：{}", "no LMK opened: {}"),
    "no_commands": ("请给出要授权的指令", "name the commands to authorise"),
    "needs_no_authority": ("该指令不需要授权或不存在：{}", "it needs no authority, or is none: {}"),
    "not_authorised": ("未授权 {}：先 yyt hsm auth on", "{} is not authorised: yyt hsm auth on"),
    "minutes": ("授权时间须为 1 到 {} 分钟", "minutes: 1 to {}"),
    "purpose": ("用途须为 1–100 字，且不含密钥样式", "purpose: 1 to 100 characters, and no key"),
    "audit_down": ("审计不可用，不予服务：{}", "no audit, no service: {}"),
    "looks_secret": (
        "内容像密钥，不可写入审计：{}",
        "this looks like a key, not for the audit: {}",
    ),
    "no_such_slot": ("配置中没有这个 LMK 槽位：{}", "the configuration has no such slot: {}"),
    "no_file": ("槽位没有封存文件：{}", "the slot has no sealed file: {}"),
    "no_token_slot": (
        "配置中该槽位没有令牌（lmk.slots.{}.token）",
        "the configuration gives the slot no token (lmk.slots.{}.token)",
    ),
    "slot_taken": ("槽位已有 LMK：{}", "the slot has an LMK already: {}"),
    "other_check_value": ("校验值不符：{}", "another check value: {}"),
    "sealing": ("{}", "{}"),
    "command": ("加密机拒绝：{}", "the HSM refused: {}"),
    "ceremony_under_way": ("已有仪式进行中", "a ceremony is under way already"),
    "no_ceremony": ("没有进行中的仪式", "no ceremony is under way"),
    "component_count": ("分量须为 2 到 9 个", "2 to 9 components"),
    "not_complete": ("分量未齐", "not every component is there"),
    "no_component_wanted": ("不再需要分量", "no component is wanted now"),
    "same_custodian": (
        "此人已录入过一个分量，须换另一位保管人",
        "this custodian brought a component already; another one must",
    ),
    "component_length": ("分量长度不对", "the component has another length"),
    "component_hex": ("分量须为十六进制", "a component is hex"),
    "component_unconfirmed": (
        "分量须有校验值或输入两次",
        "a component needs its check value, or a second entry",
    ),
    "entries_differ": (
        "两次输入不一致：仪式中止，已全部清除",
        "the two entries differ: the ceremony is over, all is wiped",
    ),
    "wrong_component_check_value": (
        "分量校验值不符：仪式中止，已全部清除",
        "wrong check value of a component: the ceremony is over, all is wiped",
    ),
    "component_zero": (
        "分量全零：仪式中止，已全部清除",
        "a component of zeros: the ceremony is over, all is wiped",
    ),
    "component_repeated": (
        "分量重复：仪式中止，已全部清除",
        "a component came twice: the ceremony is over, all is wiped",
    ),
    "weak_key": (
        "得到弱密钥：仪式中止，已全部清除",
        "the result is a weak key: the ceremony is over, all is wiped",
    ),
    "wrong_check_value": (
        "整体校验值不符：仪式中止，已全部清除",
        "wrong check value of the whole: the ceremony is over, all is wiped",
    ),
    "no_slip": ("不是分量单据：{}", "this is no slip of a component: {}"),
    "escrow": (
        "分量只写入 --escrow 文件，从不显示在屏幕上",
        "a component goes into the file of --escrow only, never to a screen",
    ),
    "folder_taken": ("文件夹不是空的：{}", "the folder is not empty: {}"),
    "cannot_reach": ("连接不上加密机的管理套接字：{}", "cannot reach the admin socket: {}"),
    "interrupted": ("已中断", "interrupted"),
}


def tell(name: str, /, *what: object, **named: object) -> str:
    """A sentence of the table; a code without one is shown as it is."""
    both = _TEXTS.get(name)
    if both is None:
        return " ".join([name, *map(str, what)])
    return both[language() == "en"].format(*what, **named)
