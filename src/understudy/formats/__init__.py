"""The languages that understudy reads and writes: text in, data out, text out.

Everything here is pure and knows nothing of spec or catalog.
"""
