"""Names of the kinds of messages for people; in English a kind is its own name."""

from collections.abc import Mapping

CHINESE: Mapping[str, str] = {
    "sale": "消费",
    "qr_sale": "扫码消费",
    "preauth": "预授权",
    "completion": "预授权完成",
    "void": "消费撤销",
    "refund": "退货",
    "preauth_void": "预授权撤销",
    "completion_void": "完成撤销",
    "qr_void": "扫码撤销",
    "qr_refund": "扫码退货",
    "deposit": "存款",
    "balance": "余额查询",
    "reversal": "冲正",
    "script_notice": "脚本通知",
    "settlement": "批结算",
    "upload": "批上送",
    "upload_end": "批上送结束",
    "sign_on": "签到",
    "sign_off": "签退",
    "echo": "回响",
    "key_request": "申请密钥",
    "key_reset": "重置密钥",
    "day_cut_start": "日切开始",
    "day_cut_end": "日切结束",
    "origin_query": "银行渠道查询",
    "origin_pay": "银行渠道缴费",
}
