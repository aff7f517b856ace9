"""The certificates with which a node's corosync-qdevice and the tie-breaker know each other.

They are in a database of NSS's, which its own tool fills. A mark beside it says which ones are in it.
Source: corosync-qdevice-net-certutil(8), "General usage".
"""

import hashlib

from understudy.design.items import TieBreakerCertificates
from understudy.kinds.common import must
from understudy.kinds.model import World

DAEMON = "corosync-qdevice"
FOLDER = "/etc/corosync/qdevice/net"
MARK = f"{FOLDER}/nssdb/understudy"
AUTHORITY, CERTIFICATE = f"{FOLDER}/understudy-authority.crt", f"{FOLDER}/understudy-node.p12.base64"
FILL = r"""
set -eu; umask 077; cd "$1"
rm -rf nssdb
corosync-qdevice-net-certutil -i -c understudy-authority.crt
base64 -d understudy-node.p12.base64 > understudy-node.p12
corosync-qdevice-net-certutil -m -c "$1/understudy-node.p12"
rm understudy-node.p12
printf %s "$2" > nssdb/understudy
"""
FILL_SECONDS = 60


def mark_of(certificates: TieBreakerCertificates | None) -> str | None:
    """Return the mark of a database with these certificates; nothing can be learned of the key from it."""
    if certificates is None:
        return None
    both = certificates.authority + certificates.certificate.reveal()
    return hashlib.sha256(both.encode()).hexdigest()[:12]


async def mark_on(world: World, node: str) -> str | None:
    """Return the mark of the database on a node."""
    found = await world.node(node).ask("read-file", path=MARK)
    return found["content"] if found["exists"] else None


async def fill(world: World, node: str, certificates: TieBreakerCertificates) -> None:
    """Put the certificates in place of what is there, and have the daemon stopped, so that it starts with them."""
    asked = world.node(node)
    await asked.ask("write-unit", name=DAEMON, running=False, limit=FILL_SECONDS)
    for path, content, mode in (
        (AUTHORITY, certificates.authority, 0o644),
        (CERTIFICATE, certificates.certificate.reveal(), 0o600),
    ):
        await asked.ask(
            "write-file", path=path, content=f"{content}\n", owner="root", group="root", mode=mode
        )
    argv = ["sh", "-c", FILL, "sh", FOLDER, mark_of(certificates) or ""]
    await must(world, node, argv, limit=FILL_SECONDS * world.wait_factor)
