"""corosync.conf beside a cluster configuration."""

import pytest

from understudy.findings import known_codes
from understudy.proof.bounds import Timing
from understudy.proof.lint.corosync import corosync, corosync_timing

GOOD = """
totem {
    version: 2
    cluster_name: region-one
    token: 1000
    crypto_cipher: aes256
    crypto_hash: sha256
}
nodelist {
    node {
        ring0_addr: 10.0.0.1
        ring1_addr: 10.1.0.1
        nodeid: 1
    }
    node {
        ring0_addr: 10.0.0.2
        ring1_addr: 10.1.0.2
        nodeid: 2
    }
    node {
        ring0_addr: 10.0.0.3
        ring1_addr: 10.1.0.3
        nodeid: 3
    }
}
quorum {
    # the provider
    provider: corosync_votequorum
}
"""


THIRD = GOOD[GOOD.index("    node {\n        ring0_addr: 10.0.0.3") : GOOD.index("}\nquorum")]


def test_a_good_file_gives_no_finding() -> None:
    assert list(corosync(GOOD, 3)) == []
    assert corosync_timing(GOOD) == Timing(1000, 650, 0)


@pytest.mark.parametrize(
    ("old", "new", "nodes", "code"),
    [
        ("    provider: corosync_votequorum", "", 3, "quorum-provider-missing"),
        ("votequorum\n", "votequorum\n    two_node: 1\n", 3, "two-node-with-others"),
        ("votequorum\n", "votequorum\n    expected_votes: 2\n", 3, "expected-votes-wrong"),
        ("token: 1000", "token: 1000\n    consensus: 1200", 3, "consensus-too-short"),
        ("token: 1000", "token: 60000", 3, "token-too-long"),
        ("    crypto_cipher: aes256", "", 3, "corosync-in-clear"),
        ("ring1_addr", "ring7_addr", 3, "one-link-only"),
        ("", "", 5, "corosync-other-nodes"),
        (
            GOOD[GOOD.index("    node {\n        ring0_addr: 10.0.0.3") : GOOD.index("}\nquorum")],
            "",
            2,
            "two-node-missing",
        ),
    ],
)
def test_a_mistake_is_found(old: str, new: str, nodes: int, code: str) -> None:
    assert code in known_codes()
    assert code in {finding.code for finding in corosync(GOOD.replace(old, new) if old else GOOD, nodes)}


@pytest.mark.parametrize("text", ["", "}", "{{{", "totem {", "token: x", "\x00"])
def test_anything_can_be_read(text: str) -> None:
    assert list(corosync(text, 3))
