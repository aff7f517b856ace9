"""What a tenant's machine does on its network, for a stand-in that is a namespace only: run in it by the lab's Python.

``tenant.py lease INTERFACE`` gets an address by DHCP and prints what came as JSON; ``renew INTERFACE ADDRESS`` asks
whoever answers for it for more time (RFC 2131); ``metadata`` reads the machine's own id at 169.254.169.254;
``ping ADDRESS`` asks once for an echo. Each prints one line and ends with 0, or says on standard error what did not
come, and ends with 1.
``pings ADDRESS SECONDS`` asks for ever, so often, and prints the moment of each answer (RFC 792).
"""

import fcntl
import json
import random
import socket
import struct
import sys
import time
import urllib.request

MAGIC = b"\x63\x82\x53\x63"
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
TRIES, WAIT = 4, 2.0
HARDWARE_ADDRESS = 0x8927  # SIOCGIFHWADDR
METADATA_SECONDS = 5
METADATA = "http://169.254.169.254/latest/meta-data/instance-id"


def main(action: str, *rest: str) -> None:
    """Do what is asked for."""
    if action == "pings":
        pings(rest[0], float(rest[1]))
        return
    match action:
        case "metadata":
            said = metadata()
        case "lease":
            said = lease(rest[0])
        case "renew":
            said = renew(rest[0], rest[1])
        case _:
            said = ping(rest[0])
    sys.stdout.write(f"{said}\n")


def metadata() -> str:
    """Read the machine's own id."""
    with urllib.request.urlopen(METADATA, timeout=METADATA_SECONDS) as answer:
        return str(answer.read().decode())


def lease(interface: str) -> str:
    """Get an address and return it with what came with it."""
    server, address, _ = _exchange(interface, DISCOVER, OFFER, {})
    wanted = {50: socket.inet_aton(address), 54: socket.inet_aton(server)}
    _, _, options = _exchange(interface, REQUEST, ACK, wanted)
    length = int.from_bytes(options[1], "big").bit_count()
    mtu = int.from_bytes(options.get(26, b"\x05\xdc"), "big")
    return json.dumps(
        {"address": f"{address}/{length}", "router": socket.inet_ntoa(options[3][:4]), "mtu": mtu}
    )


def renew(interface: str, own: str) -> str:
    """Extend the lease at any server that answers for it, as a client does in the states RENEWING and REBINDING."""
    begun = time.monotonic()
    _, address, _ = _exchange(interface, REQUEST, ACK, {}, own)
    if address != own:
        raise OSError(f"{address} came instead of {own}")
    return f"{address} {time.monotonic() - begun:.2f}"


def ping(address: str) -> str:
    """Ask once for an echo, with a number that no router on the way has seen, and return how long it took."""
    flow = random.getrandbits(16)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        begun = time.monotonic()
        _ask_echo(link, address, flow, 1)
        if not _echoes(link, address, flow, begun + 1.0):
            raise OSError(f"{address} does not answer")
        return f"{time.monotonic() - begun:.4f}"


def pings(address: str, interval: float) -> None:
    """Ask for ever, as one flow that never pauses, and print the moment of each answer."""
    flow = random.getrandbits(16)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as link:
        for number in range(1, 1 << 30):
            until = time.monotonic() + interval
            _ask_echo(link, address, flow, number & 0xFFFF)
            for moment in _echoes(link, address, flow, until, everything=True):
                sys.stdout.write(f"{moment:.3f}\n")
                sys.stdout.flush()


def _ask_echo(link: socket.socket, address: str, flow: int, number: int) -> None:
    head = struct.pack("!BBHHH", 8, 0, 0, flow, number)
    total = sum(struct.unpack("!4H", head))
    total = (total & 0xFFFF) + (total >> 16)
    try:
        link.sendto(struct.pack("!BBHHH", 8, 0, ~total & 0xFFFF, flow, number), (address, 0))
    except OSError:
        return  # no route for the moment is no answer


def _echoes(
    link: socket.socket, address: str, flow: int, until: float, *, everything: bool = False
) -> list[float]:
    """Return the moments of the answers from an address until a moment of the monotonic clock."""
    moments: list[float] = []
    while (left := until - time.monotonic()) > 0:
        link.settimeout(left)
        try:
            data, sender = link.recvfrom(2048)
        except OSError:
            continue
        if sender[0] == address and data[20] == 0 and data[24:26] == flow.to_bytes(2, "big"):
            moments.append(time.time())
            if not everything:
                break
    return moments


def _exchange(
    interface: str,
    kind: int,
    wanted: int,
    options: dict[int, bytes],
    own: str = "0.0.0.0",  # noqa: S104
) -> tuple[str, str, dict[int, bytes]]:
    """Broadcast a message until an answer of the wanted kind comes: server, offered address, options."""
    number = random.getrandbits(32)
    pairs = {53: bytes([kind]), 55: bytes([1, 3, 26, 51, 54, 121]), **options}
    body = b"".join(bytes([code, len(value)]) + value for code, value in pairs.items()) + b"\xff"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        mac = _mac_of(link, interface)
        head = struct.pack(
            "!BBBBIHH4s12x6s10x192x", 1, 1, 6, 0, number, 0, 0x8000, socket.inet_aton(own), mac
        )
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        link.bind(("", 68))
        for _ in range(TRIES):
            try:
                link.sendto(head + MAGIC + body, ("255.255.255.255", 67))
            except OSError:
                time.sleep(WAIT)
                continue
            answer = _answer(link, number, wanted)
            if answer:
                return answer
    raise OSError(f"no DHCP server answered {TRIES} times")


def _mac_of(link: socket.socket, interface: str) -> bytes:
    """Return an interface's address (netdevice(7)); /sys shows those of the network namespace that mounted it."""
    return fcntl.ioctl(link, HARDWARE_ADDRESS, struct.pack("256s", interface.encode()))[18:24]


def _answer(link: socket.socket, number: int, wanted: int) -> "tuple[str, str, dict[int, bytes]] | None":
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        link.settimeout(max(0.05, until - time.monotonic()))
        try:
            data = link.recv(2048)
        except TimeoutError:
            return None
        if len(data) < 240 or data[0] != 2 or int.from_bytes(data[4:8], "big") != number:
            continue
        options, rest = {}, data[240:]
        while rest and rest[0] != 255:
            if rest[0] == 0:
                rest = rest[1:]
                continue
            options[rest[0]] = rest[2 : 2 + rest[1]]
            rest = rest[2 + rest[1] :]
        if options.get(53) == bytes([wanted]):
            return socket.inet_ntoa(options.get(54, data[20:24])), socket.inet_ntoa(data[16:20]), options
    return None


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (OSError, KeyError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
