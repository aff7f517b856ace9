"""Property tests judge what is computed, never how fast."""

from hypothesis import settings

settings.register_profile("formats", deadline=None, max_examples=50)
settings.load_profile("formats")
