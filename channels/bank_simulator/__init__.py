"""A bank host to rehearse against: true sign-on, MAC, PIN, durable book, and bad habits.

Inside out: ``entries`` (a line of the book), ``ledger`` (what is remembered), ``world`` (cards,
payment codes, terminal keys), ``asked`` (a request by the dialect's templates) · ``counter`` (what
each business does), ``settling``, ``keyring``, ``pushes``, ``chip`` · ``wire`` (answers encoded, or
spoilt by ``habits``) · ``host`` (frames in, frames and delays out; sans-IO) · ``service`` (sockets,
HTTP).
"""
