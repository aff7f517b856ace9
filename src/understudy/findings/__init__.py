"""Findings: what is wrong, where, and what to write instead, as data.

A finding is a code, a place and typed values; the prose for each code stands once, in
``messages/<domain>.yaml``, so that tests assert codes and a sentence is changed in one place.
"""

from understudy.findings.messages import advice_for, known_codes, message_for
from understudy.findings.model import Finding, FindingsError, Place, Severity, count

__all__ = [
    "Finding",
    "FindingsError",
    "Place",
    "Severity",
    "advice_for",
    "count",
    "known_codes",
    "message_for",
]
