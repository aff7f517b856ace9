"""From spec to corosync.conf (pure). Sources: corosync.conf(5), votequorum(5), corosync-qdevice(8)."""

from understudy.formats.corosync_conf import CorosyncConfiguration, Member, Quorum, QuorumDevice, render
from understudy.spec.model import Spec

CONSENSUS_PER_TOKEN = 1.2
"""corosync.conf(5): the least time for agreeing on a new membership, as a multiple of the token's."""


def corosync_conf(spec: Spec, token: int) -> str:
    """Return corosync.conf of a spec; ``token``, in milliseconds, counts where the spec names none.

    The coefficient is 0, so that the token is the same with any number of nodes.
    """
    token = spec.corosync.token or token
    tie_breaker = spec.quorum.tie_breaker
    configuration = CorosyncConfiguration(
        cluster_name=spec.cloud,
        nodes=tuple(
            Member(
                name=name, id=number, addresses=tuple(str(addresses[link]) for link in spec.corosync.links)
            )
            for number, (name, addresses) in enumerate(spec.nodes.items(), start=1)
        ),
        crypto_cipher="aes256",
        crypto_hash="sha256",
        token=token,
        token_coefficient=0,
        consensus=round(token * CONSENSUS_PER_TOKEN),
        quorum=Quorum(
            two_node=len(spec.nodes) == 2,
            device=QuorumDevice(host=tie_breaker.host, algorithm=tie_breaker.algorithm)
            if tie_breaker
            else None,
        ),
    )
    return render(configuration)
