"""What a service depends on: databases, message brokers, Keystone. Each is asked in its own protocol.

A bare connect lies: a proxy without servers behind it accepts one, and so does a process that hangs.
"""

from __future__ import annotations

from . import http, net
from .config import Url, is_true

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .config import Configuration
    from .ocf import Deadline
    from .service import Service

    Check = tuple[str, Callable[[Any, Deadline], None], Any]

AMQP_PORT, AMQPS_PORT = 5672, 5671
AMQP_SCHEMES = ("rabbit", "kombu", "amqp", "qpid")
FORMER_BROKERS = {"rabbit": ("rabbit_hosts", "rabbit_host"), "qpid": ("qpid_hosts", "qpid_hostname")}
"""The options for a broker that were there before ``transport_url``, by its scheme."""
LONGEST_CHECK = 5.0


def gone(service: Service, deadline: Deadline) -> list[str]:
    """Return a sentence for each dependency that does not answer."""
    checks = [*_databases(service), *_messaging(service), *_identity(service)]
    sentences = []
    for index, (name, check, what) in enumerate(checks):
        share = deadline.left() / (len(checks) - index)
        try:
            check(what, deadline.within(min(LONGEST_CHECK, share)))
        except net.NoAnswer as trouble:
            sentences.append(f"{name}: {trouble.text}")
    return list(dict.fromkeys(sentences))


def _databases(service: Service) -> Iterator[Check]:
    for section in service.data.get("dependencies", {}).get("database", ()):
        url = Url(service.configuration.get(section, "connection"))
        url.port = service.integer("database_server_port", url.port)
        if not url.host or "unix_socket" in url.query:
            continue
        kind = url.scheme.partition("+")[0]
        if kind in ("mysql", "mariadb"):
            yield "database", _ask_mysql, url
        elif kind in ("postgres", "postgresql"):
            yield "database", _connect, (url.host, url.port or 5432)


def _ask_mysql(url: Url, deadline: Deadline) -> None:
    from . import mysql

    mysql.ask(url, deadline)


def _connect(address: tuple[str, int], deadline: Deadline) -> None:
    net.Connection(*address, deadline).close()


def brokers(service: Service) -> list[Url]:
    """Return the brokers that the service is told to use, each with its port; ``query`` is set where they speak TLS."""
    wanted = service.data.get("dependencies", {}).get("messaging")
    options = service.configuration
    if wanted is None or ("only_with" in wanted and options.get(*wanted["only_with"]) in ("", "noop")):
        return []
    scheme, _, rest = options.get("DEFAULT", "transport_url").partition("://")
    rest, _, query = rest.partition("?")
    addresses, slash, host = rest.partition("/")
    if not addresses:
        scheme, addresses = _former_broker(options)
    if scheme not in AMQP_SCHEMES or not addresses:
        return []
    secure = (
        options.is_true("oslo_messaging_rabbit", "ssl") or "ssl=1" in query or "ssl=true" in query.lower()
    )
    if scheme == "qpid":
        secure = (
            options.get("oslo_messaging_qpid", "qpid_protocol", options.get("DEFAULT", "qpid_protocol"))
            == "ssl"
        )
    former = options.get("DEFAULT", f"{scheme}_port")
    usual = int(former) if former.isdigit() else AMQPS_PORT if secure else AMQP_PORT
    found = []
    for address in addresses.split(","):
        url = Url(f"{scheme}://{address.strip()}{slash}{host}")
        url.query = "tls" if secure else ""
        url.port = service.integer("amqp_server_port", url.port or usual)
        found.append(url)
    return found


def _former_broker(options: Configuration) -> tuple[str, str]:
    """Return scheme and addresses of the broker that is named by the options from before ``transport_url``."""
    # What names no driver means RabbitMQ, even where options for Qpid are left over.
    backend = options.get("DEFAULT", "rpc_backend")
    schemes = [scheme for scheme in FORMER_BROKERS if scheme in backend] or list(FORMER_BROKERS)
    for scheme in schemes:
        for name in FORMER_BROKERS[scheme]:
            if options.get("DEFAULT", name):
                return scheme, options.get("DEFAULT", name)
    return "", ""


def _messaging(service: Service) -> Iterator[Check]:
    found = [] if is_true(service.given("zeromq")) else brokers(service)
    if found:
        yield "message broker", _ask_brokers, found


def _ask_brokers(urls: list[Url], deadline: Deadline) -> None:
    """Ask until one answers; one of several is enough."""
    for index, url in enumerate(urls):
        left = len(urls) - index
        try:
            _ask_broker(url, deadline.within(deadline.left() / left))
        except net.NoAnswer:
            if left == 1:
                raise
        else:
            return


def _ask_broker(url: Url, deadline: Deadline) -> None:
    from . import amqp

    amqp.ask(url, deadline, secure=bool(url.query))


def identity_section(service: Service) -> str:
    """Return the group of the option file with the service's credentials, empty if there is none."""
    section = service.data.get("dependencies", {}).get("identity", "") or service.data.get("credentials", "")
    return str(section)


def identity_url(service: Service) -> str:
    """Return the root of the Keystone that the service is told to use, empty if there is none."""
    for name in ("os_auth_url", "keystone_get_token_url"):
        if service.given(name):
            return without_version(service.given(name))
    section = identity_section(service)
    if not section:
        return ""
    options = service.configuration
    section = options.get(section, "auth_section") or section
    for name in ("auth_url", "www_authenticate_uri", "auth_uri", "identity_uri"):
        if options.get(section, name):
            return without_version(options.get(section, name))
    host = options.get(section, "auth_host")
    if not host:
        return ""
    port = options.get(section, "auth_port") or "35357"
    return f"{options.get(section, 'auth_protocol') or 'http'}://{host}:{port}"


def without_version(url: str) -> str:
    """Return the root of a Keystone URL: of ``/v2.0/tokens``, ``/v2.0``, ``/v3/auth/tokens`` and ``/v3``."""
    url = url.strip().rstrip("/")
    for tail in ("/tokens", "/auth", "/v2.0", "/v2", "/v3"):
        url = url.removesuffix(tail)
    return url.rstrip("/")


def identity_target(root: str) -> tuple[tuple[str, int, bool], str]:
    """Return where to ask Keystone, and the path of its version 3."""
    url = Url(root)
    secure = url.scheme == "https"
    return (url.host, url.port or (443 if secure else 80), secure), url.path + "/v3"


def _identity(service: Service) -> Iterator[Check]:
    root = identity_url(service) if service.data.get("dependencies", {}).get("identity") else ""
    if root:
        yield "Keystone", _ask_identity, root


def _ask_identity(root: str, deadline: Deadline) -> None:
    target, path = identity_target(root)
    answer = http.ask(target, path, deadline)
    if answer.status >= 500:
        raise net.NoAnswer("broken", f"{target[0]}:{target[1]} answers {answer.status}")
