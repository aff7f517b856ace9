"""A tenant's machine as others and itself see it: whether it answers a ping, and whether DHCP gives it an address.

Its metadata are asked for by the kind ``http``. DHCP is asked from where the machine is, in its network; it needs root.
"""

import asyncio
import secrets
import socket
import struct

from understudy.drill.probes.base import Probe, ProbeSettings
from understudy.drill.probes.owner import hardware_address

ECHO, ECHO_REPLY = 8, 0
DISCOVER, OFFER = 1, 2
COOKIE = b"\x63\x82\x53\x63"
SERVER_PORT, CLIENT_PORT = 67, 68
DATAGRAM = 2048


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def echo_request(identifier: int, number: int) -> bytes:
    """Return an ICMP echo request (RFC 792)."""
    body = struct.pack("!HH", identifier, number & 0xFFFF) + b"understudy"
    return struct.pack("!BBH", ECHO, 0, checksum(struct.pack("!BBH", ECHO, 0, 0) + body)) + body


class Ping(Probe):
    """A machine answers an echo request; needs root."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._identifier = secrets.randbelow(1 << 16)

    async def operate(self, number: int) -> str:
        """Ask once."""
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
            link.settimeout(0)
            link.connect((self.settings.address, 0))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(link, echo_request(self._identifier, number))
            wanted = struct.pack("!HH", self._identifier, number & 0xFFFF)
            while True:
                packet = await loop.sock_recv(link, DATAGRAM)
                answer = packet[(packet[0] & 15) * 4 :]
                if answer[0] == ECHO_REPLY and answer[4:8] == wanted:
                    return ""


def discover(mac: bytes, transaction: bytes) -> bytes:
    """Return a DHCPDISCOVER that asks for an answer to everybody (RFC 2131)."""
    head = bytes([1, 1, 6, 0]) + transaction + struct.pack("!HH", 0, 0x8000) + bytes(16)
    return head + mac.ljust(16, b"\0") + bytes(192) + COOKIE + bytes([53, 1, DISCOVER, 255])


def offered(packet: bytes, transaction: bytes) -> str:
    """Return the address that a DHCPOFFER offers; empty when it is none of ours."""
    if len(packet) < 240 or packet[4:8] != transaction or packet[236:240] != COOKIE:
        return ""
    options, at = packet[240:], 0
    while at + 2 < len(options) and options[at] != 255:
        if options[at] == 0:
            at += 1
            continue
        if options[at] == 53 and options[at + 2] == OFFER:
            return socket.inet_ntoa(packet[16:20])
        at += 2 + options[at + 1]
    return ""


class DhcpOffered(Probe):
    """A DHCP server offers an address to a machine.

    Parameters: ``interface``, and ``mac`` if it is not that of the interface. An offer is asked for and never taken, so
    that nothing is leased.
    """

    async def operate(self, number: int) -> str:
        """Ask once."""
        del number
        interface = self.settings.text("interface")
        transaction = secrets.token_bytes(4)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            mac = bytes.fromhex(self.settings.text("mac").replace(":", "")) or hardware_address(
                link, interface
            )
            link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            link.bind(("", CLIENT_PORT))
            link.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(link, discover(mac, transaction), ("255.255.255.255", SERVER_PORT))
            while True:
                if offered(await loop.sock_recv(link, DATAGRAM), transaction):
                    return ""
