"""The parameters that agents have in common, with the words for a person to read.

All of the published agents' parameters are taken, so that a primitive written for those works as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .service import Service

COMMON: dict[str, tuple[str, str]] = {
    "binary": (
        "string",
        "The program that is run, a path or a name that is looked for in the usual directories.",
    ),
    "config": ("string", "The service's option file."),
    "user": ("string", "The user that the service runs as."),
    "pid": (
        "string",
        "The file for process id and start time of the service. Default: OCF_RESOURCE_INSTANCE.pid in HA_RSCTMP.",
    ),
    "additional_parameters": ("string", "Further arguments for the program, quoted as for a shell."),
    "launch": (
        "string",
        "How the service is launched: {modes}. Default: what fits the binary, else the first of these.",
    ),
    "output_log": (
        "string",
        "The file that takes what the program writes on its standard output and error, opened as the service's user.",
    ),
    "shutdown_timeout": (
        "integer",
        (
            "Seconds after which a service that was asked to stop is killed; sooner where the stop operation's timeout "
            "would pass before that."
        ),
    ),
    "watch": (
        "boolean",
        (
            "Whether a small process stays beside the service that tells Pacemaker at once when it dies. Default: no, "
            "deaths are found by the next monitor."
        ),
    ),
    "config_digest": (
        "string",
        (
            "Has no effect on the agent. Whoever changes the option files puts a digest of them here, so that "
            "Pacemaker applies the change at the right time."
        ),
    ),
}
ADDRESS: dict[str, tuple[str, str]] = {
    "bind_host": (
        "string",
        (
            "The address that the service listens on. Default: what its option file says. A service launched by "
            "its own program reads that file only; one launched by uWSGI is given this address."
        ),
    ),
    "bind_port": (
        "port",
        "The port that the service listens on. Default: what its option file says, else its usual one.",
    ),
    "url": (
        "string",
        (
            "The URL at which the monitor asks the service. Default: the address that it listens on. Only scheme, "
            "host and port count, the path follows from the service."
        ),
    ),
}
WATCHED: dict[str, tuple[str, str]] = {
    "addresses": (
        "string",
        (
            "With watch: the virtual addresses by which clients reach the service. While the service does not answer, "
            "the node has the attribute unhealthy-RESOURCE, by which a location rule can send them to a healthy copy."
        ),
    ),
}
UWSGI: dict[str, tuple[str, str]] = {
    "uwsgi_ini": ("string", "The uWSGI configuration, where the service is launched by uWSGI."),
    "tls_certificate": ("string", "The certificate that uWSGI serves TLS with. Default: no TLS."),
    "tls_key": ("string", "The key of the certificate. Default: it is in the certificate's file."),
}
CREDENTIALS: dict[str, tuple[str, str]] = {
    "os_username": (
        "string",
        "The user of the authenticated monitor. Default: the monitor asks without authentication.",
    ),
    "os_password": (
        "string",
        (
            "The password of that user. It stands readable in the cluster configuration; an operation with "
            "OCF_CHECK_LEVEL 10 uses the credentials in the service's own option file instead."
        ),
    ),
    "os_tenant_name": ("string", "The project (once called tenant) of that user."),
    "os_user_domain_name": ("string", "The domain of that user. Default: Default."),
    "os_project_domain_name": ("string", "The domain of that project. Default: Default."),
    "os_auth_url": (
        "string",
        (
            "The URL of Keystone. A URL of version 2.0 is taken for the version 3 of the same Keystone. Default: "
            "what the service's option file says."
        ),
    ),
    "keystone_get_token_url": ("string", "The same as os_auth_url, under its other published name."),
}
CONNECTIONS: dict[str, tuple[str, str]] = {
    "database_server_port": ("port", "The port of the database server. Default: what the option file says."),
    "amqp_server_port": ("port", "The port of the message broker. Default: what the option file says."),
    "zeromq": ("boolean", "Whether messages go without a broker, so that none is asked."),
}

HEARTBEAT: dict[str, tuple[str, str]] = {
    "network_api_url": (
        "string",
        (
            "The URL of the Networking API, which the monitor asks whether Neutron hears the agent, with the "
            "credentials in the service's own option file. Default: it is not asked."
        ),
    ),
}
LEAVES: dict[str, tuple[str, str]] = {
    "dataplane": (
        "string",
        (
            "What a stop does with what the agent has made for its tenants on the node: keep, where the resource "
            "neutron-dataplane takes it away, so that traffic flows on while the agent is started again. "
            "Default: it is taken away."
        ),
    ),
}


def described(service: Service) -> dict[str, tuple[str, str]]:
    """Return type and description of all parameters of a service, in the order for a person."""
    found = dict(COMMON) if service.modes else {}
    if service.listens:
        found.update(ADDRESS)
        if "serving" not in service.data:
            del found["url"]
        found.update(WATCHED)
    if any("uwsgi_ini" in "".join(mode["arguments"]) for mode in service.modes.values()):
        found.update(UWSGI)
    if "api" in service.data:
        found.update(CREDENTIALS)
    if "dependencies" in service.data:
        found.update(CONNECTIONS)
    if "heartbeat" in service.data:
        found.update(HEARTBEAT)
    if service.modes and "leaves" in service.data:
        found.update(LEAVES)
    own: dict[str, Any] = service.data.get("parameters", {})
    for name, words in own.items():
        known = found.get(name, ("string", ""))
        found[name] = (words.get("type", known[0]), words.get("description", known[1]))
    if not service.modes:
        return found
    kind, text = found["launch"]
    found["launch"] = kind, text.format(modes=", ".join(service.modes))
    return found
