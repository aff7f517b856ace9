"""All kinds of probes by name."""

from collections.abc import Mapping

from understudy.drill.probes.base import Probe
from understudy.drill.probes.http import HttpHealth, HttpSession, TcpConnect
from understudy.drill.probes.identity import ListWithToken, TokenIssued
from understudy.drill.probes.image import ImageWritten
from understudy.drill.probes.owner import AddressOwner

PROBES: Mapping[str, type[Probe]] = {
    "tcp": TcpConnect,
    "http": HttpHealth,
    "http-session": HttpSession,
    "token": TokenIssued,
    "list": ListWithToken,
    "image": ImageWritten,
    "owner": AddressOwner,
}
