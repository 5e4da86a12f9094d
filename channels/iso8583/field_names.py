"""Names of the fields in English (ISO 8583:1987, as UnionPay uses them); dialects name them in
Chinese."""

from collections.abc import Mapping

from channels.iso8583.dialect import Dialect

ENGLISH: Mapping[str, str] = {
    "2": "primary account number",
    "3": "processing code",
    "4": "amount",
    "5": "amount, settlement",
    "6": "amount, cardholder billing",
    "7": "transmission date and time",
    "9": "conversion rate, settlement",
    "10": "conversion rate, billing",
    "11": "systems trace audit number",
    "12": "time, local",
    "13": "date, local",
    "14": "date, expiration",
    "15": "date, settlement",
    "16": "date, conversion",
    "18": "merchant type",
    "19": "merchant country code",
    "22": "point of service entry mode",
    "23": "card sequence number",
    "25": "point of service condition",
    "26": "PIN capture code",
    "28": "fee amount",
    "32": "acquiring institution",
    "33": "forwarding institution",
    "35": "track 2",
    "36": "track 3",
    "37": "retrieval reference number",
    "38": "authorisation identification",
    "39": "response code",
    "41": "terminal identification",
    "42": "card acceptor identification",
    "43": "card acceptor name",
    "44": "additional response data",
    "45": "track 1",
    "46": "private, acquirer",
    "47": "private, acquirer",
    "48": "additional data, private",
    "49": "currency",
    "50": "currency, settlement",
    "51": "currency, billing",
    "52": "PIN data",
    "53": "security control information",
    "54": "additional amounts",
    "55": "chip card data",
    "56": "additional information",
    "57": "additional data, private",
    "58": "PBOC purse data",
    "59": "detail data",
    "60": "private field 60",
    "61": "original data / identity",
    "62": "private field 62",
    "63": "private field 63",
    "64": "message authentication code",
    "70": "network management code",
    "90": "original data elements",
    "96": "message security code",
    "100": "receiving institution",
    "102": "account 1",
    "103": "account 2",
    "104": "additional information",
    "113": "additional information",
    "116": "additional information",
    "117": "additional information",
    "121": "acquirer's private data",
    "122": "acquirer's private data",
    "123": "issuer's private data",
    "125": "additional information",
    "126": "additional information",
    "128": "message authentication code",
}


def field_name(dialect: Dialect | None, number: str, *, english: bool) -> str:
    """The dialect's name of a field, or ISO's in English; empty where nobody has one."""
    field = dialect.fields.get(number) if dialect is not None else None
    own = field.name if field is not None else ""
    return ENGLISH.get(number, own) if english else own
