"""A cluster of a small lab's nodes with working fencing, formed by hand."""

import base64
import secrets
import time
from collections.abc import Callable

from tests.lab.conftest import PASSWORD, run

from understudy.lab.client import Lab

CIB = (
    '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">'
    '<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">'
    '<nvpair id="cib-bootstrap-options-dc-deadtime" name="dc-deadtime" value="5s"/>'
    "</cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration><status/></cib>"
)
FORM_SECONDS = 90


def corosync_conf(lab: Lab) -> str:
    nodes = "".join(
        f"  node {{\n    name: {name}\n    nodeid: {number}\n    ring0_addr: {node.addresses['management']}\n  }}\n"
        for number, (name, node) in enumerate(lab.topology.nodes.items(), start=1)
    )
    return (
        "totem {\n  version: 2\n  cluster_name: drilled\n  transport: knet\n  token: 1000\n  token_coefficient: 0\n"
        "  crypto_cipher: aes256\n  crypto_hash: sha256\n}\n"
        f"nodelist {{\n{nodes}}}\n"
        "quorum {\n  provider: corosync_votequorum\n}\n"
        "logging {\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n  timestamp: hires\n}\n"
    )


def fencing(lab: Lab) -> list[str]:
    lines = []
    for name, node in lab.topology.nodes.items():
        login = f"ip={node.bmc_address} username={node.bmc_user} password_script='/bin/cat /etc/fencing'"
        hosts = f"pcmk_host_list={name} pcmk_host_check=static-list ssl_insecure=1"
        lines.append(f"primitive fence-{name} stonith:fence_redfish params {login} {hosts}")
        lines.append(f"location l-{name} fence-{name} -inf: {name}")
    return lines


def form(lab: Lab, prepare: str, resources: list[str]) -> None:
    """Form the cluster, with a shell script for each node and resources (crmsh); wait until all have started."""
    key = base64.b64encode(secrets.token_bytes(128)).decode()
    for name in lab.topology.nodes:
        run(
            lab,
            name,
            f"""
            umask 077
            echo {key} | base64 -d > /etc/corosync/authkey
            cat > /etc/corosync/corosync.conf <<'END'
{corosync_conf(lab)}END
            echo '{CIB}' > /var/lib/pacemaker/cib/cib.xml
            chown hacluster:haclient /var/lib/pacemaker/cib/cib.xml
            printf %s '{PASSWORD}' > /etc/fencing
            mkdir -p /var/log/corosync
            {prepare}
            sysctl -qw net.ipv4.ip_nonlocal_bind=1
            update-rc.d corosync enable
            update-rc.d pacemaker enable
            service corosync start
            service pacemaker start
            """,
        )
    first = next(iter(lab.topology.nodes))
    wait_until(
        lambda: f"Online: [ {' '.join(lab.topology.nodes)} ]" in lab.run_in(first, ["crm_mon", "-1"]).stdout
    )
    lines = [*fencing(lab), *resources]
    done = lab.run_in(first, ["crm", "configure"], 60, "\n".join(lines))
    assert done.returncode == 0, done.stderr
    count = sum(line.startswith("primitive ") for line in lines)
    wait_until(lambda: lab.run_in(first, ["crm_mon", "-1r"]).stdout.count("Started") == count)


def wait_until(true: Callable[[], bool], seconds: float = FORM_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.5)
