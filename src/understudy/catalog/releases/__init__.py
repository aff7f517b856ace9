"""OpenStack's releases in their order, ranges of them, and which distribution carries which."""

from understudy.catalog.releases.model import (
    Release,
    ReleaseRange,
    UnknownReleaseError,
    nearest_release,
    release_named,
    release_range,
    releases,
    releases_of_distribution,
)

__all__ = [
    "Release",
    "ReleaseRange",
    "UnknownReleaseError",
    "nearest_release",
    "release_named",
    "release_range",
    "releases",
    "releases_of_distribution",
]
