"""Probes: what a client does again and again. The standard library only; they run beside the drill."""
