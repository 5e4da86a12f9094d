"""Doors: ISO 8583 peers that dial us with requests, in any dialect.

Inside out: ``capture``, ``answering``, ``business_date`` (pure) · ``station`` (one terminal: its
keys, its batch) · ``reception`` (is the request whole, known, authentic) · ``door`` (listens,
bounds, answers) · ``totals`` (what a batch came to). Two plugins stand on them: ``pos`` (counter
POS, doctors' stations) and ``bank_origin`` (a bank's own kiosks and counters).
"""
