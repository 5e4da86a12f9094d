"""The bridge's own errors; none of their texts holds a value of a message (I12)."""


class HisError(Exception):
    """What is wrong, as a short code for metrics and journal, and a sentence for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class RequestError(HisError):
    """We cannot say this to the HIS; nothing was sent."""


class ReplyError(HisError):
    """What came back cannot be understood; it proves nothing (I9)."""


class ProfileError(ValueError):
    """A profile is wrong at ``path``."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(f"{path}: {text}" if path else text)
        self.path = path
        self.text = text
