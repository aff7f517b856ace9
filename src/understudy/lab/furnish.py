"""What a lab's folder is filled with before its nodes are powered on for the first time."""

import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from understudy.lab import disks
from understudy.lab.state import Folder
from understudy.lab.topology import LabTopology, Wiring

_SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
MaxStartups 200
MaxSessions 200
"""

_KEPT_SERVICES = frozenset({"ssh"})


def furnish(folder: Folder, image: Path, topology: LabTopology, wiring: Wiring) -> None:
    """Make keys, the nodes' upper layers and the disks' files; the folder must be there and empty."""
    login = Ed25519PrivateKey.generate()
    _write(folder.private_key, _private(login), 0o600)
    known_hosts = []
    for name in topology.nodes:
        key = Ed25519PrivateKey.generate()
        addresses = [each.address.partition("/")[0] for each in wiring.interfaces[name]]
        known_hosts.append(f"{','.join([name, *addresses])} {_public(key)}")
        upper = folder.node(name) / "upper"
        for directory in (upper, folder.node(name) / "root"):
            directory.mkdir(parents=True)
            directory.chmod(0o755)
        _disable_services(image, upper)
        ssh = upper / "etc" / "ssh"
        _write(ssh / "ssh_host_ed25519_key", _private(key), 0o600)
        _write(ssh / "ssh_host_ed25519_key.pub", f"{_public(key)} root@{name}\n", 0o644)
        _write(ssh / "sshd_config.d" / "understudy-lab.conf", _SSHD, 0o644)
        _write(upper / "root" / ".ssh" / "authorized_keys", f"{_public(login)} understudy-lab\n", 0o600)
        for directory in (upper / "root", upper / "root" / ".ssh"):
            directory.chmod(0o700)
        _write(upper / "etc" / "hostname", f"{name}\n", 0o644)
        _write(upper / "etc" / "hosts", _hosts(wiring, topology), 0o644)
        _write(upper / "etc" / "resolv.conf", "", 0o644)
        _write(upper / "etc" / "default" / "locale", "LANG=C.UTF-8\n", 0o644)
    _write(folder.known_hosts, "".join(f"{line}\n" for line in known_hosts), 0o644)
    for number, disk in enumerate(topology.disks.values()):
        folder.disk(number).parent.mkdir(exist_ok=True)
        disks.create(folder.disk(number), disk.size)


def _disable_services(image: Path, upper: Path) -> None:
    """Have nothing start at boot but sshd, whatever the image has enabled: a node begins as a bare installation."""
    for runlevel in image.glob("etc/rc[2-5].d"):
        own = upper / runlevel.relative_to(image)
        own.mkdir(parents=True)
        os.setxattr(
            own, "trusted.overlay.opaque", b"y"
        )  # the image's folder of this name does not shine through
        for link in runlevel.iterdir():
            if link.is_symlink():
                kept = link.name[3:] in _KEPT_SERVICES
                name = link.name if kept else f"K{link.name[1:]}"  # as update-rc.d disable does
                (own / name).symlink_to(link.readlink())


def _hosts(wiring: Wiring, topology: LabTopology) -> str:
    """Return /etc/hosts: every node by the address of its first interface."""
    first = ((wiring.interfaces[name][0].address.partition("/")[0], name) for name in topology.nodes)
    return _lines(
        ("127.0.0.1 localhost", "::1 localhost ip6-localhost", *(f"{each} {name}" for each, name in first))
    )


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text, encoding="utf-8")


def _private(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()


def _public(key: Ed25519PrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )
