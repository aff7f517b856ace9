"""One module per kind of managed thing: observe, diff, apply, invert."""
