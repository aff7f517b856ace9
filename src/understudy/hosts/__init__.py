"""Reaching a machine."""
