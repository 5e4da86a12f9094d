"""LMKs at rest: sealed files, what can open them, and tokens that hold an LMK themselves."""
