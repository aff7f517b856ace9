"""Releases are ordered, ranges hold what they say, and a misspelt name is led to the right one."""

import pytest

from understudy.catalog.releases import (
    UnknownReleaseError,
    release_named,
    release_range,
    releases,
    releases_of_distribution,
)


def test_releases_are_in_the_order_of_their_dates() -> None:
    known = releases()
    assert (known[0].name, known[-1].name) == ("folsom", "2026.2")
    assert [release.date for release in known] == sorted(release.date for release in known)
    assert [release.index for release in known] == list(range(len(known)))


def test_names_and_aliases_are_unique() -> None:
    names = [name for release in releases() for name in (release.name, *release.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "release"),
    [("zed", "zed"), ("Zed", "zed"), ("2012.2", "folsom"), ("caracal", "2024.1"), (" 2025.1 ", "2025.1")],
)
def test_a_release_is_found_by_each_of_its_names(name: str, release: str) -> None:
    assert release_named(name).name == release


@pytest.mark.parametrize(
    ("typo", "nearest"),
    [("zedd", "zed"), ("queen", "queens"), ("2023.11", "2023.1"), ("epoksy", "epoxy"), ("xyz-7", "")],
)
def test_a_misspelt_release_names_the_nearest(typo: str, nearest: str) -> None:
    with pytest.raises(UnknownReleaseError) as caught:
        release_named(typo)
    assert caught.value.nearest == nearest


def test_releases_compare_by_time() -> None:
    assert release_named("folsom") < release_named("zed") < release_named("antelope")
    assert release_named("2024.1") >= release_named("caracal")
    assert max(release_named(name) for name in ("zed", "2026.1", "newton")).name == "2026.1"


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("folsom..grizzly", ["folsom", "grizzly"], ["havana", "zed"]),
        ("queens..", ["queens", "2026.2"], ["pike"]),
        ("..mitaka", ["folsom", "mitaka"], ["newton"]),
        ("..", ["folsom", "2026.2"], []),
        ("zed", ["zed"], ["yoga", "2023.1"]),
        ("2023.1..2024.1", ["2023.2"], ["zed", "2024.2"]),
    ],
)
def test_a_range_holds_both_ends(text: str, inside: list[str], outside: list[str]) -> None:
    found = release_range(text)
    assert release_range(str(found)) == found
    assert all(release_named(name) in found for name in inside)
    assert not any(release_named(name) in found for name in outside)
    assert set(found) == {release for release in releases() if release in found}


def test_a_range_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="came after"):
        release_range("zed..queens")


def test_an_unknown_end_of_a_range_is_refused() -> None:
    with pytest.raises(UnknownReleaseError):
        release_range("zed..omega")


def test_versions_belong_to_their_series() -> None:
    assert release_named("zed").versions["nova"] == "26"
    assert release_named("folsom").versions["quantum"] == "2012.2"
    assert "neutron" in release_named("havana").versions
    assert "placement" not in release_named("rocky").versions


def test_a_distribution_says_what_it_carries() -> None:
    assert [release.name for release in releases_of_distribution("debian-12")["archive"]] == ["zed"]
    assert release_named("bobcat") in releases_of_distribution("ubuntu-22.04")["cloud-archive"]
    assert releases_of_distribution("plan9") == {}
