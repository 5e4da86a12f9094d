"""A kernel for contact chip cards, PBOC and EMV: sans-IO, online only.

It is not a certified EMVCo Level 2 kernel: docs/emv.md says what it does and what it leaves out.
"""
