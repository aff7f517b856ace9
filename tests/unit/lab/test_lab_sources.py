import pytest

from understudy.lab.sources import choose

DEBIAN = """\
Types: deb
# a comment
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
EXPECTED = """\
Types: deb
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def chosen(**files: str) -> str:
    return choose(
        {name.replace("__", "."): text for name, text in files.items()}, "bookworm", "debian-archive"
    )


def test_the_distributions_own_sources_are_kept_and_narrowed_to_what_is_needed() -> None:
    assert chosen(debian__sources=DEBIAN) == EXPECTED


@pytest.mark.parametrize(
    "third_party",
    [
        "deb https://packages.example.org/apt cloud-sdk-bookworm main",
        "deb [arch=amd64 signed-by=/usr/share/keyrings/example.gpg] https://apt.example.org bookworm main",
        "deb [signed-by=/etc/apt/keyrings/docker.gpg] https://download.example.org/linux bookworm stable",
        "this is no source at all",
        "deb",
    ],
)
def test_a_third_partys_source_is_left_out(third_party: str) -> None:
    assert chosen(debian__sources=DEBIAN, other__list=third_party) == EXPECTED


def test_the_one_line_format_is_read_too() -> None:
    text = "deb http://mirror.example.org/debian bookworm main contrib # ours\ndeb-src http://x.example.org b main\n"
    assert chosen(sources__list=text) == (
        "Types: deb\nURIs: http://mirror.example.org/debian\nSuites: bookworm\nComponents: main\n"
    )


def test_a_disabled_entry_does_not_count() -> None:
    assert chosen(debian__sources="Enabled: no\n" + DEBIAN.split("\n\n", maxsplit=1)[0]) == ""


def test_a_mirror_that_signs_for_itself_counts_when_there_is_no_other() -> None:
    text = "deb [signed-by=/etc/apt/keyrings/company.asc] https://mirror.example.org/debian bookworm main"
    assert "URIs: https://mirror.example.org/debian\n" in chosen(sources__list=text)


def test_an_inline_key_is_carried_along() -> None:
    text = DEBIAN.split("\n\n", maxsplit=1)[0].replace(
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ",
    )
    assert chosen(debian__sources=text).endswith(
        "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ\n"
    )


def test_without_a_source_of_the_suite_there_is_nothing() -> None:
    assert chosen(debian__sources=DEBIAN.replace("bookworm", "trixie")) == ""
