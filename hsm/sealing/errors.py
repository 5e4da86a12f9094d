"""Why an LMK could not be sealed or opened. No text holds a secret or what was typed (I12)."""


class SealingError(Exception):
    """Any of these; the text is a sentence for the operator."""


class BadFileError(SealingError):
    """A file breaks a rule: ``where`` names the field or property, ``rule`` says what is asked."""

    def __init__(self, name: str, where: str, rule: str) -> None:
        super().__init__(f"{name}: {where}: {rule}")
        self.where = where
        self.rule = rule


class CannotOpenError(SealingError):
    """The opener does not fit: a wrong secret, another sealer, or a file that was changed."""


class TokenError(SealingError):
    """The PKCS#11 token or its library refused, or holds not what it should."""


class NotAllowedError(SealingError):
    """A test LMK in production mode, or a live one in test mode."""
