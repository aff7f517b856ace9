from hypothesis import given
from hypothesis import strategies as st

from understudy.formats.corosync_conf import (
    CorosyncConfiguration,
    Logging,
    Member,
    Quorum,
    QuorumDevice,
    parse,
    render,
)

WORDS = st.from_regex(r"[a-z0-9/._-]{1,8}", fullmatch=True)
OPTIONAL_NUMBER = st.none() | st.integers(0, 10**6)
OPTIONS = st.dictionaries(
    st.sampled_from(["join", "downcheck", "last_man_standing", "secauth"]), WORDS, max_size=2
)
TLS = st.sampled_from([None, "on", "off", "required"])
DEVICES = st.builds(QuorumDevice, host=WORDS, votes=OPTIONAL_NUMBER, tls=TLS)
CONFIGURATIONS = st.builds(
    CorosyncConfiguration,
    cluster_name=WORDS,
    nodes=st.lists(
        st.builds(
            Member,
            name=WORDS,
            id=st.integers(1, 99),
            addresses=st.lists(WORDS, min_size=1, max_size=3).map(tuple),
            votes=OPTIONAL_NUMBER,
        ),
        max_size=3,
    ).map(tuple),
    transport=st.sampled_from(["knet", "udp", "udpu"]),
    crypto_cipher=st.sampled_from(["none", "aes256"]),
    crypto_hash=st.sampled_from(["none", "sha256"]),
    token=OPTIONAL_NUMBER,
    token_coefficient=OPTIONAL_NUMBER,
    consensus=OPTIONAL_NUMBER,
    options=OPTIONS,
    quorum=st.builds(
        Quorum,
        two_node=st.booleans(),
        wait_for_all=st.none() | st.booleans(),
        expected_votes=OPTIONAL_NUMBER,
        device=st.none() | DEVICES,
        options=OPTIONS,
    ),
    logging=st.builds(
        Logging,
        logfile=st.none() | WORDS,
        to_syslog=st.booleans(),
        debug=st.sampled_from(["off", "on", "trace"]),
        timestamp=st.sampled_from(["off", "on", "hires"]),
    ),
)


@given(CONFIGURATIONS)
def test_what_is_written_is_read_again(configuration: CorosyncConfiguration) -> None:
    assert parse(render(configuration)) == (configuration, ())


@given(st.text(st.sampled_from("totem{}:#\n a1")))
def test_no_text_is_too_odd(text: str) -> None:
    parse(text)
