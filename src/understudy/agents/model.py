"""The ``agent`` block of a catalog entry: what the common core needs to know of a service."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Option = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]
"""An option of the service's own file: group and name."""


class Model(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Launch(Model):
    """One way to launch the service.

    Templates refer to parameters of the agent and to ``config_files`` (as an argument of its own: one
    ``--config-file=`` each), ``config_arguments`` (the same as one text), ``config_directory``, ``host``, ``port``,
    ``plain_address`` and ``tls_address`` (``host:port``, of which one is empty). An argument that refers to something
    empty is left out.
    """

    binary: str
    """The program; its name identifies the service's processes."""
    program_prefix: str = ""
    """What the program's name may begin with instead, where it differs between distributions."""
    file: str = "config"
    """The parameter whose file stands on the command line of the service's processes."""
    arguments: tuple[str, ...]
    environment: dict[str, str] = Field(default_factory=dict)
    reload: str = ""
    """The signal, without ``SIG``, at which the service reads all of its options again; empty: it cannot."""


class Listen(Model):
    """The address of the service; of several options the first that is set counts."""

    host_options: tuple[Option, ...] = ()
    port_options: tuple[Option, ...] = ()
    tls_options: tuple[Option, ...] = ()
    """Options that are true, or name something such as a certificate, where the service itself speaks TLS."""
    port: int
    """The port where no option is set."""
    port_parameter: str = "bind_port"
    """The published name of the parameter for the port."""
    after_dependencies: bool = False
    """The service opens its address only when its database has answered."""


class Serving(Model):
    """The request without authentication that a service which serves answers."""

    path: str
    accept: tuple[int, ...]
    """Statuses; any other one is a failure."""


class Api(Model):
    """The authenticated request."""

    path: str
    """``{project}`` stands for the id of the project."""
    issues_tokens: bool = False
    """The service is Keystone, so that the token is asked of itself."""


class Messaging(Model):
    """The message broker in ``transport_url``, or in the options that came before it."""

    only_with: Option | None = None
    """It counts only where this option is set and not ``noop``."""


class Dependencies(Model):
    """What the service depends on, read from its own option files."""

    database: tuple[str, ...] = ()
    """Groups with an option ``connection``."""
    messaging: Messaging | None = None
    identity: str = ""
    """The group with the URL of Keystone and the service's credentials."""


class Parameter(Model):
    """A parameter that not all agents have, or another default for one that they have."""

    type: Literal["string", "integer", "boolean", "port"] | None = None
    description: str | None = None
    default: str | int | tuple[str, ...] = ""
    """Of several paths the first that exists counts."""


class Leaves(Model):
    """What is left on the node when the service has ended, by the beginnings of its names."""

    namespaces: tuple[str, ...] = ()
    """Network namespaces, with all processes in them."""
    bridges: tuple[str, ...] = ()
    """Bridges of the kernel."""
    tunnels: tuple[str, ...] = ()
    """Interfaces on those bridges that go with them."""
    switch_ports: tuple[str, ...] = ()
    """Ports of Open vSwitch."""
    chains: bool = False
    """Chains in the node's own packet filter."""


class Announces(Model):
    """What the networks have to be told of a service's namespaces when they have come to a node."""

    interfaces: tuple[str, ...]
    """Interfaces with addresses that were elsewhere before, by the beginnings of their names."""
    translates: bool = False
    """Whether rules for translating addresses come later than the interfaces."""
    takeovers: str = ""
    """The directory where Neutron keeps the state of each virtual router that moves between nodes by itself."""


class Prepares(Model):
    """Console scripts in Python for which a process keeps everything imported that they import."""

    programs: tuple[str, ...]
    modules: tuple[str, ...] = ()
    """What they import only later, as far as it is there."""
    commands: tuple[tuple[str, ...], ...] = ()
    """For helpers that run as root: how the command lines begin that would be run otherwise. That is sudo, rootwrap's
    program, its option file, and the program behind it, if it is not rootwrap itself."""
    contexts: tuple[str, ...] = ()
    """The contexts of oslo.privsep that may be asked for."""
    config_files: tuple[str, ...] = ()
    """The option files that may be named."""

    @model_validator(mode="after")
    def _fits(self) -> "Prepares":
        if any(len(command) not in (3, 4) for command in self.commands):
            raise ValueError(
                "the command of a helper is sudo, rootwrap, its option file, and one program at most"
            )
        return self


class Timeouts(Model):
    """Advertised times in seconds."""

    start: int = 60
    stop: int = 60
    status: int = 20
    monitor: int = 30
    interval: int = 10


class AgentData(Model):
    """The block as a whole."""

    title: str
    description: str
    aliases: tuple[str, ...] = ()
    """Other names under which an agent for the service was published."""
    user: str = ""
    config: str = ""
    """The service's option file."""
    config_files: tuple[str, ...] = ("config",)
    """Parameters with option files, in the order in which the service reads them."""
    launch: dict[str, Launch] = Field(default_factory=dict)
    """By name; the first one is the default. None: there is no daemon, the resource stands for what others leave."""
    listen: Listen | None = None
    serving: Serving | None = None
    speaks: Literal["", "amqp"] = ""
    """The protocol of a service with an address that is not asked over HTTP: a message broker's AMQP, 0-10 or 1.0."""
    api: Api | None = None
    dependencies: Dependencies = Dependencies()
    connected: bool = False
    """A service without an address, which serves as long as it holds a connection to its message broker."""
    credentials: str = ""
    """The group with the service's credentials, where the service itself does not depend on Keystone."""
    heartbeat: str = ""
    """The name (``binary``) of an agent of Neutron in the Networking API, which shows whether Neutron hears it."""
    leaves: Leaves | None = None
    announces: Announces | None = None
    prepares: dict[Literal["agents", "helpers"], Prepares] = Field(default_factory=dict)
    """What is kept prepared by this resource, which has no daemon of its own to launch then."""
    prepared_by: str = ""
    """The service that may keep a process prepared which becomes this one's daemon."""
    settle: float = 3.0
    """Seconds that a service without an address and without a broker has to live to count as started."""
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    timeouts: Timeouts = Timeouts()

    @model_validator(mode="after")
    def _fits(self) -> "AgentData":
        if self.announces and not (self.leaves and self.leaves.namespaces):
            raise ValueError("what is announced is in namespaces that are left")
        if not self.launch and not self.leaves and not self.prepares:
            raise ValueError("there is no way to launch it")
        if self.launch and not (self.user and self.config):
            raise ValueError("a service that is launched has a user and an option file")
        if bool(self.listen) != bool(self.serving or self.speaks) or (self.serving and self.speaks):
            raise ValueError("listen goes together with either serving or speaks")
        if self.connected and (self.listen or not self.dependencies.messaging):
            raise ValueError("connected is for a service with a message broker and without an address")
        return self
