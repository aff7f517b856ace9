"""A keeper of prepared processes with fake programs, and what tests ask it."""

from __future__ import annotations

import functools
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.agents import conftest
from tests.agents.conftest import FAKES, Agent, agent_data, deploy, make_agent
from tests.agents.fakes.prepared_site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

KEEPER = "glance-prepared"
FILE = "glance-api.conf"
CONTEXT = "glance.privileged.default"
until = functools.partial(conftest.until, seconds=20)


@dataclass
class Prepared:
    """A keeper of prepared processes, a service that may be made of them, and the Python of both."""

    keeper: Agent
    agent: Agent
    site: Site

    @property
    def run(self) -> Path:
        """Where state is kept."""
        return self.keeper.directory / "run"

    def socket(self, role: str = "agents") -> Path:
        """Return where a prepared process is asked."""
        return self.run / f"{KEEPER}.{role}"

    def pid(self, role: str = "agents") -> int:
        """Return the prepared process."""
        return int((self.run / f"p_{KEEPER}.{role}.pid").read_text().split()[0])

    def prepare(self) -> None:
        """Start the keeper and wait until it is prepared."""
        assert self.keeper.run("start").code == 0
        until(lambda: all(self.keeper_answers(role) for role in ("agents", "helpers")))

    def keeper_answers(self, role: str = "agents") -> bool:
        """Return whether a prepared process answers that it is fit."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
            stream.settimeout(5)
            try:
                stream.connect(str(self.socket(role)))
                stream.send(b"ping")
                return stream.recv(100).startswith(b"ready")
            except OSError:
                return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def keeper_data(directory: Path) -> dict[str, Any]:
    rootwrap = [str(directory / "bin/rootwrap"), str(directory / "etc/rootwrap.conf")]
    return {
        "title": "Prepared",
        "description": "Prepared.",
        "prepares": {
            "agents": {"programs": [str(directory / "bin/glance-api")]},
            "helpers": {
                "programs": [str(directory / "bin/privsep-helper"), rootwrap[0]],
                "commands": [["sudo", *rootwrap, str(directory / "bin/privsep-helper")], ["sudo", *rootwrap]],
                "contexts": [CONTEXT],
                "config_files": [str(directory / "etc" / FILE)],
            },
        },
    }


def keeper(tmp_path: Path) -> Iterator[Prepared]:
    """Give a keeper that is not started yet; nothing of it is left afterwards."""
    service = {**agent_data()["glance-api"], "prepared_by": KEEPER}
    root = deploy(tmp_path / "ocf", {"glance-api": service, KEEPER: keeper_data(tmp_path)})
    site = Site(tmp_path, FAKES / "daemon.py")
    agent, keeper = make_agent("glance-api", root, tmp_path), make_agent(KEEPER, root, tmp_path)
    agent.write_config()
    site.script(tmp_path / "bin/glance-api", "fake_daemon")
    site.script(tmp_path / "bin/privsep-helper", "fake_helper")
    site.script(tmp_path / "bin/rootwrap", "fake_helper")
    (tmp_path / "etc/rootwrap.conf").write_text(f"[DEFAULT]\nallows = {tmp_path}/bin/privsep-helper\n")
    made = Prepared(keeper, agent, site)
    yield made
    agent.run("stop")
    agent.clean_up()
    keeper.run("stop")
