"""corosync.conf(5) and votequorum(5): members, links, failure detection, quorum. Times are milliseconds, as there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from understudy.findings import Finding, Place, Severity

Transport = Literal["knet", "udp", "udpu"]
Cipher = Literal["none", "aes256", "aes192", "aes128"]
Hash = Literal["none", "md5", "sha1", "sha256", "sha384", "sha512"]
_TRUE = frozenset({"1", "yes", "on", "true"})


@dataclass(frozen=True, kw_only=True)
class Member:
    """A node: ``addresses`` has one for each link, from link 0."""

    name: str
    id: int
    addresses: tuple[str, ...]
    votes: int | None = None


@dataclass(frozen=True, kw_only=True)
class QuorumDevice:
    """A third party that votes over the network (corosync-qdevice(8))."""

    host: str
    algorithm: Literal["ffsplit", "lms"] = "ffsplit"
    votes: int | None = None
    tls: Literal["on", "off", "required"] | None = None


@dataclass(frozen=True, kw_only=True)
class Quorum:
    """How votes are counted; ``two_node`` turns ``wait_for_all`` on unless that is said otherwise."""

    two_node: bool = False
    wait_for_all: bool | None = None
    expected_votes: int | None = None
    device: QuorumDevice | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Logging:
    """Where Corosync writes what it does."""

    logfile: str | None = "/var/log/corosync/corosync.log"
    to_syslog: bool = True
    debug: Literal["off", "on", "trace"] = "off"
    timestamp: Literal["off", "on", "hires"] = "hires"


@dataclass(frozen=True, kw_only=True)
class CorosyncConfiguration:
    """A cluster's membership. ``options`` are further keys of the section totem, as they are written.

    With n nodes the token times out after ``token + (n - 2) * token_coefficient``; None leaves Corosync's defaults
    (3000 and 650 ms), and for ``consensus`` 1.2 times the resulting token.
    """

    cluster_name: str
    nodes: tuple[Member, ...] = ()
    transport: Transport = "knet"
    crypto_cipher: Cipher = "none"
    crypto_hash: Hash = "none"
    token: int | None = None
    token_coefficient: int | None = None
    consensus: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    quorum: Quorum = Quorum()
    logging: Logging = Logging()


def render(configuration: CorosyncConfiguration) -> str:
    """Write the file; raises ValueError for a value that corosync.conf cannot hold."""
    quorum, log = configuration.quorum, configuration.logging
    totem = {
        "version": "2",
        "cluster_name": configuration.cluster_name,
        "transport": configuration.transport,
        "crypto_cipher": configuration.crypto_cipher,
        "crypto_hash": configuration.crypto_hash,
        "token": configuration.token,
        "token_coefficient": configuration.token_coefficient,
        "consensus": configuration.consensus,
        **configuration.options,
    }
    votes = {
        "provider": "corosync_votequorum",
        # Corosync takes numbers here, and no words.
        "two_node": 1 if quorum.two_node else None,
        "wait_for_all": None if quorum.wait_for_all is None else int(quorum.wait_for_all),
        "expected_votes": quorum.expected_votes,
        **quorum.options,
    }
    logging = {
        "to_stderr": False,
        "to_logfile": log.logfile is not None,
        "logfile": log.logfile,
        "to_syslog": log.to_syslog,
        "debug": log.debug,
        "timestamp": log.timestamp,
    }
    members = [line for member in configuration.nodes for line in _section("node", _member(member))]
    device = _device(quorum.device) if quorum.device else []
    sections = (
        _section("totem", totem),
        _section("nodelist", {}, members),
        _section("quorum", votes, device),
        _section("logging", logging),
    )
    return "\n".join("".join(f"{line}\n" for line in lines) for lines in sections)


def _member(member: Member) -> dict[str, object]:
    rings = {f"ring{link}_addr": address for link, address in enumerate(member.addresses)}
    return {"name": member.name, "nodeid": member.id, **rings, "quorum_votes": member.votes}


def _device(device: QuorumDevice) -> list[str]:
    net = _section("net", {"host": device.host, "algorithm": device.algorithm, "tls": device.tls})
    return _section("device", {"model": "net", "votes": device.votes}, net)


def _section(name: str, values: Mapping[str, object], inner: list[str] | None = None) -> list[str]:
    present = {key: _text(value) for key, value in values.items() if value is not None}
    for key, value in present.items():
        if not value or value != value.strip() or set("{\n\r\0") & set(key + value) or set(":#} ") & set(key):
            raise ValueError(f"corosync.conf cannot hold {key}: {value!r}")
    lines = [*(f"{key}: {value}" for key, value in present.items()), *(inner or [])]
    return [f"{name} {{", *(f"    {line}" for line in lines), "}"]


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def cluster_name_of(text: str) -> str | None:
    """Return the cluster's name from a corosync.conf, None when it has none."""
    return parse(text)[0].cluster_name or None


def parse(text: str, file: str = "") -> tuple[CorosyncConfiguration, tuple[Finding, ...]]:
    """Read a corosync.conf.

    Findings: ``corosync-syntax`` for a line that Corosync refuses, ``corosync-bad-value``, and ``corosync-not-held``
    (a note) for what the model has no place for.
    """
    reader = _Reader(file)
    return reader.read(text), tuple(reader.findings)


@dataclass
class _Section:
    name: str
    line: int
    values: dict[str, tuple[str, int]] = field(default_factory=dict)
    sections: list["_Section"] = field(default_factory=list)

    def children(self, name: str) -> list["_Section"]:
        return [section for section in self.sections if section.name == name]


class _Reader:
    def __init__(self, file: str) -> None:
        self.findings: list[Finding] = []
        self._file = file

    def read(self, text: str) -> CorosyncConfiguration:
        root = self._tree(text)
        totem, quorum, logging = (self._merged(root, name) for name in ("totem", "quorum", "logging"))
        members = self._merged(root, "nodelist")
        nodes = tuple(self._node(node) for node in members.sections if node.name == "node")
        self._only_sections(root, {"totem", "quorum", "logging", "nodelist"})
        for section, known in (
            (totem, set[str]()),
            (quorum, {"device"}),
            (logging, set[str]()),
            (members, {"node"}),
        ):
            self._only_sections(section, known)
        return CorosyncConfiguration(
            cluster_name=self._take(totem, "cluster_name") or "",
            nodes=nodes,
            transport=cast("Transport", self._choice(totem, "transport", "knet", "udp", "udpu")),
            crypto_cipher=cast("Cipher", self._take(totem, "crypto_cipher") or "none"),
            crypto_hash=cast("Hash", self._take(totem, "crypto_hash") or "none"),
            token=self._number(totem, "token"),
            token_coefficient=self._number(totem, "token_coefficient"),
            consensus=self._number(totem, "consensus"),
            options=self._rest(totem, "version"),
            quorum=self._quorum(quorum),
            logging=self._logging(logging),
        )

    def _note(self, code: str, line: int, severity: Severity, **values: object) -> None:
        self.findings.append(Finding(code, severity, values, Place(self._file, line, 1)))

    def _tree(self, text: str) -> _Section:
        """Read sections and values as Corosync's own parser does: a brace opens, a colon separates, in this order."""
        root = _Section("", 0)
        open_sections = [root]
        for number, raw in enumerate(text.split("\n"), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            before, brace, after = line.partition("{")
            key, colon, value = line.partition(":")
            if brace and before.strip() and not after.strip():
                section = _Section(before.strip(), number)
                open_sections[-1].sections.append(section)
                open_sections.append(section)
            elif not brace and colon and key.strip():
                open_sections[-1].values[key.strip()] = (value.strip(), number)
            elif line == "}" and len(open_sections) > 1:
                open_sections.pop()
            else:
                self._note(
                    "corosync-syntax", number, "error", reason="no section, option, comment or closing brace"
                )
        for section in open_sections[1:]:
            self._note("corosync-syntax", section.line, "error", reason=f"{section.name} is not closed")
        return root

    @staticmethod
    def _merged(root: _Section, name: str) -> _Section:
        """Return all sections of a name as one: Corosync takes the later value."""
        found = _Section(name, 0)
        for section in root.children(name):
            found.line = found.line or section.line
            found.values.update(section.values)
            found.sections.extend(section.sections)
        return found

    def _only_sections(self, section: _Section, known: set[str]) -> None:
        for inner in section.sections:
            if inner.name not in known:
                name = f"{section.name}.{inner.name}".removeprefix(".")
                self._note("corosync-not-held", inner.line, "note", what=name)

    def _take(self, section: _Section, key: str) -> str | None:
        value, _ = section.values.pop(key, (None, 0))
        return value

    def _number(self, section: _Section, key: str) -> int | None:
        value, line = section.values.pop(key, (None, 0))
        if value is None or value.isdecimal():
            return None if value is None else int(value)
        self._note("corosync-bad-value", line, "error", name=key, value=value, expected="a number")
        return None

    def _choice(self, section: _Section, key: str, *choices: str) -> str:
        """Return one of the choices; the first is what Corosync assumes."""
        value, line = section.values.pop(key, (choices[0], 0))
        if value in choices:
            return value
        self._note("corosync-bad-value", line, "error", name=key, value=value, expected=", ".join(choices))
        return choices[0]

    def _boolean(self, section: _Section, key: str) -> bool | None:
        value = self._take(section, key)
        return None if value is None else value.lower() in _TRUE

    def _rest(self, section: _Section, *dropped: str) -> dict[str, str]:
        return {key: value for key, (value, _) in section.values.items() if key not in dropped}

    def _leftovers(self, section: _Section) -> None:
        for key, (_, line) in section.values.items():
            self._note("corosync-not-held", line, "note", what=f"{section.name}.{key}")

    def _node(self, section: _Section) -> Member:
        addresses = tuple(self._addresses(section))
        member = Member(
            name=self._take(section, "name") or "",
            id=self._number(section, "nodeid") or 0,
            addresses=addresses,
            votes=self._number(section, "quorum_votes"),
        )
        self._leftovers(section)
        return member

    def _addresses(self, section: _Section) -> Iterator[str]:
        link = 0
        while (address := self._take(section, f"ring{link}_addr")) is not None:
            yield address
            link += 1

    def _quorum(self, section: _Section) -> Quorum:
        self._choice(section, "provider", "corosync_votequorum")
        devices = section.children("device")
        return Quorum(
            two_node=bool(self._boolean(section, "two_node")),
            wait_for_all=self._boolean(section, "wait_for_all"),
            expected_votes=self._number(section, "expected_votes"),
            device=self._device(devices[-1]) if devices else None,
            options=self._rest(section),
        )

    def _device(self, section: _Section) -> QuorumDevice | None:
        if self._choice(section, "model", "net") != "net" or not section.children("net"):
            return None
        net = section.children("net")[-1]
        tls = self._choice(net, "tls", "", "on", "off", "required")
        device = QuorumDevice(
            host=self._take(net, "host") or "",
            algorithm=cast("Literal['ffsplit', 'lms']", self._choice(net, "algorithm", "ffsplit", "lms")),
            votes=self._number(section, "votes"),
            tls=cast("Literal['on', 'off', 'required']", tls) if tls else None,
        )
        self._leftovers(section)
        self._leftovers(net)
        self._only_sections(section, {"net"})
        return device

    def _logging(self, section: _Section) -> Logging:
        logfile, to_logfile = self._take(section, "logfile"), self._boolean(section, "to_logfile")
        self._take(section, "to_stderr")
        log = Logging(
            logfile=logfile if to_logfile else None,
            to_syslog=self._boolean(section, "to_syslog") is not False,
            debug=cast("Literal['off', 'on', 'trace']", self._choice(section, "debug", "off", "on", "trace")),
            timestamp=cast(
                "Literal['off', 'on', 'hires']", self._choice(section, "timestamp", "off", "on", "hires")
            ),
        )
        self._leftovers(section)
        return log
