"""Faults: what a drill breaks, and how each is mended."""
