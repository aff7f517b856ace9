"""All kinds of probes by name."""

from collections.abc import Mapping

from understudy.drill.probes.base import Probe
from understudy.drill.probes.broker import MessageKept, MessagePassed
from understudy.drill.probes.database import RowWritten
from understudy.drill.probes.http import HttpHealth, HttpSession, TcpConnect
from understudy.drill.probes.identity import ListWithToken, TokenIssued
from understudy.drill.probes.image import ImageWritten
from understudy.drill.probes.owner import AddressOwner
from understudy.drill.probes.tenant import DhcpOffered, Ping
from understudy.drill.probes.volume import VolumeWritten

PROBES: Mapping[str, type[Probe]] = {
    "tcp": TcpConnect,
    "http": HttpHealth,
    "http-session": HttpSession,
    "token": TokenIssued,
    "list": ListWithToken,
    "image": ImageWritten,
    "volume": VolumeWritten,
    "row": RowWritten,
    "message": MessagePassed,
    "message-kept": MessageKept,
    "ping": Ping,
    "dhcp": DhcpOffered,
    "owner": AddressOwner,
}
