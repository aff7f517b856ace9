"""From spec to corosync.conf (pure). Sources: corosync.conf(5), votequorum(5), corosync-qdevice(8)."""

from understudy.design.context import Cloud
from understudy.design.items import Membership, TieBreakerCertificates
from understudy.formats.corosync_conf import CorosyncConfiguration, Member, Quorum, QuorumDevice, render
from understudy.spec.model import Spec
from understudy.spec.tls import DEVICE_AUTHORITY, DEVICE_CERTIFICATE

CONSENSUS_PER_TOKEN = 1.2
"""corosync.conf(5): the least time for agreeing on a new membership, as a multiple of the token's."""


def times(spec: Spec, token: int) -> tuple[int, int]:
    """Return token and consensus in milliseconds: a node that is silent for both is lost.

    ``token`` counts where the spec names none.
    """
    token = spec.corosync.token or token
    return token, round(token * CONSENSUS_PER_TOKEN)


def corosync_conf(spec: Spec, token: int) -> str:
    """Return corosync.conf of a spec; ``token``, in milliseconds, counts where the spec names none.

    The coefficient is 0, so that the token is the same with any number of nodes.
    """
    token, consensus = times(spec, token)
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
        consensus=consensus,
        quorum=Quorum(
            two_node=len(spec.nodes) == 2,
            device=QuorumDevice(
                host=tie_breaker.host,
                algorithm=tie_breaker.algorithm,
                tls="required" if tie_breaker.certificate else "off",
            )
            if tie_breaker
            else None,
        ),
    )
    return render(configuration)


def membership(cloud: Cloud, configuration: str) -> Membership:
    """Return what makes the nodes one cluster, with a tie-breaker if the spec has one."""
    device = cloud.spec.quorum.tie_breaker
    certificates = None
    if device is not None and device.certificate is not None:
        authority, certificate = cloud.secret(DEVICE_AUTHORITY), cloud.secret(DEVICE_CERTIFICATE)
        certificates = TieBreakerCertificates(authority.reveal(), certificate)
    return Membership(
        cluster_name=cloud.spec.cloud,
        nodes=tuple(cloud.spec.nodes),
        corosync_conf=configuration,
        daemons=("corosync", *(("corosync-qdevice",) if device else ()), "pacemaker"),
        tie_breaker=certificates,
        reason="the cluster",
    )
