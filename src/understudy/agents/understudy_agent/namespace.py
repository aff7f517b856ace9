"""Looking into a network namespace without a process of its own there."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NEW_NETWORK = 0x40000000
_SIOCGIFCONF = 0x8912
_ROOM, _ENTRY = 65536, 40


@contextmanager
def inside(path: str) -> Iterator[bool]:
    """Stand in a namespace for a while; gives False where there is none. For a process with one thread, run by root."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        yield _enter(path)
    finally:
        _libc().setns(home, _NEW_NETWORK)
        os.close(home)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False  # it was taken away just now
    try:
        return bool(_libc().setns(descriptor, _NEW_NETWORK) == 0)
    finally:
        os.close(descriptor)


def addresses() -> list[tuple[str, str]]:
    """Return interfaces and IPv4 addresses of the namespace, each address once; see netdevice(7)."""
    room = bytearray(_ROOM)
    place = (ctypes.c_char * _ROOM).from_buffer(room)
    request = struct.pack("iP", _ROOM, ctypes.addressof(place))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        (length,) = struct.unpack_from("i", fcntl.ioctl(asked, _SIOCGIFCONF, request))
    found = []
    for at in range(0, length, _ENTRY):
        label = bytes(room[at : at + 16]).partition(b"\0")[0].decode("ascii", "replace")
        found.append((label.partition(":")[0], socket.inet_ntoa(bytes(room[at + 20 : at + 24]))))
    return found
