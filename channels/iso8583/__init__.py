"""The bank link: ISO 8583 over TCP, one bank per instance, its dialect a YAML file.

Inside out: ``dialect`` (what a file may say) · ``codec``, ``mac``, ``rules`` (one message) ·
``mux``, ``session`` (sans-IO machines) · ``link``, ``dial``, ``hub``, ``terminal``, ``pool``,
``stans`` (their shells) · ``bank`` (all of it) · ``channel`` (what the engine sees).
"""

from channels.iso8583.plugin import plugin

__all__ = ["plugin"]
