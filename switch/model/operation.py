"""What a leg asks of a bank or a hospital: the field's words for its messages, never mixed."""

from enum import StrEnum


class Operation(StrEnum):
    """One business message of a dialect. Debits take, credits give back."""

    SALE = "sale"
    """消费"""
    QR_SALE = "qr_sale"
    """扫码消费 (被扫): by the code on the patient's phone, without a card."""
    PREAUTH = "preauth"
    """预授权: money is set aside."""
    COMPLETION = "completion"
    """预授权完成: (part of) what was set aside is taken."""
    VOID = "void"
    """消费撤销: a sale of the same batch is taken back."""
    REFUND = "refund"
    """退货: (part of) an older sale is given back."""
    PREAUTH_VOID = "preauth_void"
    """预授权撤销"""
    COMPLETION_VOID = "completion_void"
    """预授权完成撤销"""
    QR_VOID = "qr_void"
    """扫码撤销"""
    QR_REFUND = "qr_refund"
    """扫码退货"""
    BALANCE = "balance"
    """余额查询: moves nothing."""
    DEPOSIT = "deposit"
    """住院预交金: of a hospital, to book money that is for no bill yet."""
