import pytest

from understudy.findings import message_for
from understudy.formats.corosync_conf import CorosyncConfiguration, Member, cluster_name_of, parse, render

DISTRIBUTED = """\
# Please read the corosync.conf.5 manual page
totem {
\tversion: 2
\tcluster_name: debian
\tinterface {
\t\tlinknumber: 0
\t}
}
logging {
\tto_logfile: yes
\tlogfile: /var/log/corosync/corosync.log
\tlogger_subsys {
\t\tsubsys: QUORUM
\t}
}
quorum {
\tprovider: corosync_votequorum
}
nodelist {
\tnode {
\t\tname: node1
\t\tnodeid: 1
\t\tring0_addr: 127.0.0.1
\t}
}
"""


def test_a_file_of_a_distribution_is_read() -> None:
    read, findings = parse(DISTRIBUTED, "corosync.conf")
    assert read.cluster_name == "debian"
    assert read.nodes == (Member(name="node1", id=1, addresses=("127.0.0.1",)),)
    assert read.token is None
    assert [(finding.code, str(finding.place)) for finding in findings] == [
        ("corosync-not-held", "corosync.conf:5:1"),
        ("corosync-not-held", "corosync.conf:12:1"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("totem {\nnonsense\n}\n", "corosync-syntax", 2),
        ("totem {\n", "corosync-syntax", 1),
        ("}\n", "corosync-syntax", 1),
        ("totem { token: 5 }\n", "corosync-syntax", 1),
        ("totem {\ntoken: soon\n}\n", "corosync-bad-value", 2),
        ("totem {\ntransport: pigeon\n}\n", "corosync-bad-value", 2),
        ("quorum {\nprovider: fate\n}\n", "corosync-bad-value", 2),
    ],
)
def test_mistakes_have_a_place(text: str, code: str, line: int) -> None:
    _, findings = parse(text)
    assert (findings[0].code, findings[0].place and findings[0].place.line) == (code, line)
    assert message_for(findings[0])


@pytest.mark.parametrize("name", ["", " a", "a{b", "a\nb"])
def test_a_value_that_would_break_the_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        render(CorosyncConfiguration(cluster_name=name))


def test_the_name_of_a_cluster() -> None:
    assert cluster_name_of(DISTRIBUTED) == "debian"
    assert cluster_name_of("") is None
    assert cluster_name_of("no configuration") is None
