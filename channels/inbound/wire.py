"""A dialect as a host uses it: requests in, answers out, MACs checked and made by the HSM."""

from collections.abc import Mapping

from channels.iso8583.codec import Codec
from channels.iso8583.dialect import Dialect
from channels.iso8583.errors import RemoteError
from channels.iso8583.headers import Lead, read_lead
from channels.iso8583.mac import MacMaker
from channels.iso8583.message import Message
from switch.ports import KeyService


class Wire:
    """See the module."""

    def __init__(self, dialect: Dialect, key_service: KeyService) -> None:
        self.dialect = dialect
        self._codec = Codec(dialect)
        self._macs = MacMaker(dialect)
        self._lead = Lead(dialect.tpdu, dialect.header)
        self._key_service = key_service

    def decode(self, frame: bytes) -> Message:
        """One request without its length prefix. Raises RemoteError."""
        message = self._codec.decode(frame)
        if not self.dialect.mtis[message.mti].answer:
            raise RemoteError("mti", f"{message.mti} is no request")
        return message

    def heading(self, frame: bytes) -> Message | None:
        """Of a frame that is no message its headers and type, enough to say so; None: not even
        these, or no request."""
        try:
            lead, start = read_lead(frame, self._lead)
        except RemoteError:
            return None
        coded = frame[start : start + 4]
        mti = coded[:2].hex() if self.dialect.mti_encoding == "b" else coded.decode("latin-1")
        if mti not in self.dialect.mtis or not self.dialect.mtis[mti].answer:
            return None
        return Message(mti=mti, fields={}, tpdu=lead.tpdu, header=lead.header)

    async def proves(self, message: Message, mak: str) -> bool:
        """Whether its MAC is right under ``mak``. Raises KeyServiceError."""
        mac = message.fields.get(self.dialect.mac.field, "").encode()
        data = self._macs.input(message.mti, message.fields, message.mab)
        return await self._key_service.check_mac(mak, data, mac, self._macs.form)

    def answer(self, request: Message, fields: Mapping[str, str]) -> bytes:
        """An answer without a MAC. Raises LocalError."""
        return self._codec.answer(request, self.dialect.mtis[request.mti].answer, fields)

    async def sealed_answer(self, request: Message, fields: Mapping[str, str], mak: str) -> bytes:
        """An answer with its MAC. Raises LocalError, KeyServiceError."""
        mti = self.dialect.mtis[request.mti].answer
        whole = {**fields, self.dialect.mac.field: self._macs.blank}
        encoded = self._codec.answer(request, mti, whole)
        data = self._macs.input(mti, whole, self._codec.mab(encoded))
        return self._macs.sealed(
            encoded, await self._key_service.make_mac(mak, data, self._macs.form)
        )
