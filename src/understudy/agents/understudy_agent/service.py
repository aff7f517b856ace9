"""A service as an agent sees it: its data, the parameters of the resource, and what follows from both."""

from __future__ import annotations

import os
import pwd

from . import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SEARCH_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}
STATE_DIRECTORY = "/run/resource-agents"
CONFIG_FILES = "{config_files}"
DEFAULTS = {"shutdown_timeout": "15"}
"""What holds where the data of a service says nothing else; 15 s is what the distributions' units give a service."""


def load(path: str) -> dict[str, Any]:
    """Return the data of a service.

    The scanner behind the ``json`` module is used without it where there is one: importing ``json`` costs as much as
    the rest of a monitor.
    """
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    try:
        import _json
    except ImportError:
        import json

        data = json.loads(text)
    else:
        scanner: Any = _json.make_scanner
        data, _end = scanner(_Scanner)(text.lstrip(), 0)
    return dict(data)


class _Scanner:
    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


class Service:
    """One resource of one service."""

    def __init__(self, name: str, data: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.name = name
        self.data = data
        self.environ = environ
        self.modes: dict[str, Any] = data.get("launch", {})
        """How it can be launched; nothing for a resource without a daemon."""
        self.mode_name = self._choose_mode()
        self.mode: dict[str, Any] = self.modes.get(self.mode_name, {})
        self._configuration: config.Configuration | None = None

    def _choose_mode(self) -> str:
        chosen = self.given("launch")
        if chosen:
            return chosen
        binary = os.path.basename(self.given("binary"))
        for name, mode in self.modes.items():
            if binary == os.path.basename(mode["binary"]):
                return name
        return next(iter(self.modes), "")

    def given(self, name: str) -> str:
        """Return the value of a parameter that the resource sets, empty where it does not."""
        return self.environ.get("OCF_RESKEY_" + name, "")

    def default(self, name: str) -> str:
        """Return the default of a parameter; of several paths the first one that exists."""
        if name == "binary":
            return str(self.mode.get("binary", ""))
        default = self.data.get(name) if name in ("config", "user") else None
        if default is None:
            default = self.data.get("parameters", {}).get(name, {}).get("default", DEFAULTS.get(name, ""))
        if isinstance(default, list):
            return str(next((path for path in default if os.path.exists(path)), default[-1]))
        return str(default)

    def parameter(self, name: str) -> str:
        """Return the value of a parameter, or its default."""
        return self.given(name) or self.default(name)

    def integer(self, name: str, default: int = 0) -> int:
        """Return the value of a number, the default where it is none."""
        value = self.parameter(name)
        return int(value) if value.isdigit() else default

    @property
    def instance(self) -> str:
        """Return the name of the resource."""
        return self.environ.get("OCF_RESOURCE_INSTANCE", "") or self.name

    @property
    def state_directory(self) -> str:
        """Return the directory for what is true until the next boot."""
        return self.environ.get("HA_RSCTMP", "") or STATE_DIRECTORY

    @property
    def pid_file(self) -> str:
        """Return the path of the pid file."""
        return self.given("pid") or os.path.join(self.state_directory, self.instance + ".pid")

    def state_file(self, purpose: str) -> str:
        """Return the path of a file of the resource's own below the state directory."""
        return os.path.join(self.state_directory, f"{self.instance}.{purpose}")

    def account(self) -> pwd.struct_passwd | None:
        """Return the account that the service runs as, None where there is none."""
        user = self.parameter("user")
        try:
            return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        except KeyError:
            return None

    def program(self) -> str:
        """Return the path of the program, empty when it is not there."""
        return self.program_called(self.parameter("binary"))

    def program_called(self, binary: str) -> str:
        """Return the path of a program with this name or path, empty when it is not there."""
        candidates = [binary] if "/" in binary else [f"{directory}/{binary}" for directory in SEARCH_PATH]
        return next((path for path in candidates if os.path.isfile(path) and os.access(path, os.X_OK)), "")

    def config_files(self) -> list[str]:
        """Return the option files, in the order in which the service reads them."""
        return [
            self.parameter(name) for name in self.data.get("config_files", ["config"]) if self.parameter(name)
        ]

    @property
    def configuration(self) -> config.Configuration:
        """Return the options that the service finds."""
        if self._configuration is None:
            programs = [mode["binary"] for mode in self.modes.values() if CONFIG_FILES in mode["arguments"]]
            files = config.with_directories(self.config_files(), map(os.path.basename, programs))
            self._configuration = config.Configuration(files)
        return self._configuration

    @property
    def listens(self) -> bool:
        """Return whether the service answers on an address of its own."""
        return "listen" in self.data

    def _option(self, purpose: str) -> str:
        options = self.data["listen"].get(purpose, ())
        values = (self.configuration.get(group, name) for group, name in options)
        return next(filter(None, values), "")

    def host(self) -> str:
        """Return the address that the service binds to."""
        return self.parameter("bind_host") or self._option("host_options") or "0.0.0.0"

    def port(self) -> int:
        """Return the port that the service binds to."""
        option = self._option("port_options")
        own = int(option) if option.isdigit() else int(self.data["listen"]["port"])
        named = self.data["listen"].get("port_parameter", "bind_port")
        return self.integer("bind_port") or self.integer(named, own)

    def tls(self) -> bool:
        """Return whether the service itself speaks TLS."""
        option = self._option("tls_options")
        return bool(self.given("tls_certificate")) or option.lower() not in ("", "false", "no", "off", "0")

    def target(self) -> tuple[str, int, bool]:
        """Return where to ask it: host, port, TLS or not."""
        if self.given("url"):
            url = config.Url(self.given("url"))
            secure = url.scheme == "https"
            return url.host, url.port or (443 if secure else 80), secure
        host = self.host()
        return WILDCARDS.get(host, host), self.port(), self.tls()

    def command(self) -> list[str]:
        """Return the command line; an argument that refers to a parameter without a value is left out."""
        command = [self.program() or self.parameter("binary")]
        values = _Values(self)
        for template in self.mode["arguments"]:
            if template == CONFIG_FILES:
                command += ["--config-file=" + path for path in self.config_files()]
            elif all(values(name) for name in _names(template)):
                command.append(_fill(template, values))
        if self.given("additional_parameters"):
            import shlex

            command += shlex.split(self.given("additional_parameters"))
        return command

    def surroundings(self) -> dict[str, str]:
        """Return the environment variables of the service, nothing of the agent's own."""
        account, values = self.account(), _Values(self)
        user = self.parameter("user")
        return {
            "PATH": ":".join(SEARCH_PATH),
            "LANG": "C.UTF-8",
            "HOME": account.pw_dir if account else "/",
            "USER": user,
            "LOGNAME": user,
            **{name: _fill(text, values) for name, text in self.mode.get("environment", {}).items()},
        }


class _Values:
    """What an argument template may refer to: parameters, and the address in the forms that programs want."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._computed: dict[str, Callable[[], str]] = {
            "host": service.host,
            "port": lambda: str(service.port()),
            "config_arguments": lambda: " ".join("--config-file=" + path for path in service.config_files()),
            "config_directory": lambda: os.path.dirname(service.parameter("config")),
            "plain_address": lambda: "" if service.given("tls_certificate") else self._address(),
            "tls_address": self._tls_address,
        }

    def __call__(self, name: str) -> str:
        return self._computed[name]() if name in self._computed else self._service.parameter(name)

    def _address(self) -> str:
        return config.join_address(self._service.host(), self._service.port())

    def _tls_address(self) -> str:
        certificate, key = self._service.given("tls_certificate"), self._service.given("tls_key")
        return f"{self._address()},{certificate},{key or certificate}" if certificate else ""


def _names(template: str) -> list[str]:
    return [part.partition("}")[0] for part in template.split("{")[1:]]


def _fill(template: str, values: _Values) -> str:
    head, *parts = template.split("{")
    return head + "".join(values(part.partition("}")[0]) + part.partition("}")[2] for part in parts)
