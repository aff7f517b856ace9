"""Property tests judge what is computed, never how fast, and the same examples each time.

``UNDERSTUDY_FUZZ=N`` in the environment looks for new ones instead.
"""

import os

from hypothesis import settings

settings.register_profile(
    "understudy", deadline=None, max_examples=50, derandomize="UNDERSTUDY_FUZZ" not in os.environ
)
settings.load_profile("understudy")
