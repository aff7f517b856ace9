"""Who answers for an address: two machines at the same time must never (ARP, RFC 826; needs root)."""

import asyncio
import fcntl
import socket
import struct

from understudy.drill.probes.base import NotServedError, Probe, ProbeSettings

ETHERTYPE_ARP = 0x0806
BROADCAST = b"\xff" * 6
REQUEST, REPLY = 1, 2
SIOCGIFHWADDR, SIOCGIFADDR = 0x8927, 0x8915
GATHER_SECONDS = 0.02
"""So long after the first answer a second one is waited for."""
FRAME_BYTES = 2048


def interface_towards(address: str) -> str:
    """Return the interface on whose network an IPv4 address lies; raises OSError when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))
        own = socket.inet_aton(probe.getsockname()[0])
        for _, name in socket.if_nameindex():
            try:
                if _ask(probe, name, SIOCGIFADDR)[20:24] == own:
                    return name
            except OSError:
                continue
    raise OSError(f"no interface leads to {address}")


def _ask(probe: socket.socket, name: str, what: int) -> bytes:
    return fcntl.ioctl(probe.fileno(), what, struct.pack("256s", name.encode()[:15]))


def hardware_address(link: socket.socket, interface: str) -> bytes:
    """Return an interface's MAC (netdevice(7)); /sys would show those of the network namespace that mounted it."""
    return _ask(link, interface, SIOCGIFHWADDR)[18:24]


def request_frame(mac: bytes, own: bytes, wanted: bytes) -> bytes:
    """Return the Ethernet frame that asks everybody who has an address."""
    head = BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP)
    return head + struct.pack("!HHBBH", 1, 0x0800, 6, 4, REQUEST) + mac + own + bytes(6) + wanted


def owner_in(frame: bytes, wanted: bytes) -> str:
    """Return the hardware address that a frame gives for an address; empty when it is no such answer."""
    if len(frame) < 42 or frame[12:14] != struct.pack("!H", ETHERTYPE_ARP):
        return ""
    operation = int.from_bytes(frame[20:22], "big")
    return frame[22:28].hex(":") if operation == REPLY and frame[28:32] == wanted else ""


class AddressOwner(Probe):
    """Asks the network who has an address, and returns everybody who says so."""

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self._wanted = socket.inet_aton(settings.address)
        self._socket: socket.socket | None = None
        self._frame = b""
        self._answers: set[str] = set()
        self._answered = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Open a raw socket on the interface that leads to the address."""
        name = interface_towards(self.settings.address)
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP))
        link.settimeout(0)
        link.bind((name, ETHERTYPE_ARP))
        own = _ask(link, name, SIOCGIFADDR)[20:24]
        self._frame = request_frame(hardware_address(link, name), own, self._wanted)
        self._socket = link
        self._listening = asyncio.create_task(self._listen(link))

    async def _listen(self, link: socket.socket) -> None:
        while True:
            frame = await asyncio.get_running_loop().sock_recv(link, FRAME_BYTES)
            owner = owner_in(frame, self._wanted)
            if owner:
                self._answers.add(owner)
                self._answered.set()

    async def operate(self, number: int) -> str:
        """Ask once; return the hardware addresses of all who answered, separated by commas."""
        del number
        if self._socket is None:
            raise NotServedError("no raw socket")
        self._answers.clear()
        self._answered.clear()
        self._socket.send(self._frame)
        await self._answered.wait()
        await asyncio.sleep(GATHER_SECONDS)
        return ",".join(sorted(self._answers))
