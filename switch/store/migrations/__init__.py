"""Numbered schema changes (``0001_journal.sql`` …): forward only, each in one db_transaction."""
