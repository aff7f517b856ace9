"""Ordered changes from what is to what must be, and the journal of making them."""
