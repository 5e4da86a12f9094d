"""Why an LMK could not be sealed or opened. No text holds a secret or what was typed (I12)."""

from hsm.sealing.texts import text_of


class SealingError(Exception):
    """Any of these; the text is a sentence for the operator, ``code`` its name in every tongue."""

    def __init__(self, code: str, *what: object) -> None:
        super().__init__(text_of(code, *what))
        self.code = code


class BadFileError(SealingError):
    """A file breaks a rule: ``where`` names the field or property, ``rule`` says what is asked."""

    def __init__(self, name: str, where: str, rule: str) -> None:
        super().__init__("bad_file", name, where, rule)
        self.where = where
        self.rule = rule


class CannotOpenError(SealingError):
    """The opener does not fit: a wrong secret, another sealer, or a file that was changed."""


class TokenError(SealingError):
    """The PKCS#11 token or its library refused, or holds not what it should."""


class NotAllowedError(SealingError):
    """A test LMK in production mode, or a live one in test mode."""
