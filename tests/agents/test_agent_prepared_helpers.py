"""Helpers that run as root and are made of a prepared process: what is granted, and what goes the usual way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.agents.prepared_keeper import CONTEXT, FILE, Prepared, keeper, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def prepared(tmp_path: Path) -> Iterator[Prepared]:
    """A keeper that is not started yet."""
    yield from keeper(tmp_path)


def ask_for(prepared: Prepared, *command: str, session: bool = False) -> subprocess.CompletedProcess[str]:
    """Ask for a helper as an agent does; the usual way is a fake sudo that says so."""
    sudo = prepared.agent.directory / "bin/sudo"
    sudo.write_text("#!/bin/sh\necho as usual: $*\n")
    sudo.chmod(0o755)
    program = prepared.keeper.root / "lib/openstack/understudy_agent/helper.py"
    words = [sys.executable, "-IS", str(program), str(prepared.socket("helpers")), "sudo", *command]
    environment = {"PATH": f"{sudo.parent}:/usr/bin:/bin"}
    return subprocess.run(
        words,
        env=environment,
        text=True,
        capture_output=True,
        start_new_session=session,
        timeout=30,
        check=False,
    )


def helper_command(prepared: Prepared, **changed: str) -> list[str]:
    directory = prepared.agent.directory
    given = {
        "program": str(directory / "bin/privsep-helper"),
        "file": str(directory / "etc" / FILE),
        "context": CONTEXT,
        "socket": str(directory / "run/privsep.sock"),
        **changed,
    }
    path = directory / "run/privsep.sock"
    if not path.exists():
        with socket.socket(socket.AF_UNIX) as stream:
            stream.bind(str(path))
    beginning = [str(directory / "bin/rootwrap"), str(directory / "etc/rootwrap.conf"), given["program"]]
    return [
        *beginning,
        *("--config-file", given["file"]),
        *("--privsep_context", given["context"]),
        *("--privsep_sock_path", given["socket"]),
    ]


def helpers(session: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == f"helper-{session}":
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def titled(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_helper_is_made_of_the_prepared_process(prepared: Prepared) -> None:
    prepared.prepare()
    command = helper_command(prepared)
    done = ask_for(prepared, *command)
    assert done.returncode == 3
    assert done.stdout.startswith("helper --config-file")
    assert done.stderr == "to its standard error\n"
    # What it has left behind; others of this session are of tests beside this one.
    title = f"{prepared.site.python} {command[2]} --config-file"

    def own() -> list[int]:
        return [pid for pid in helpers(os.getsid(0)) if titled(pid).startswith(title)]

    until(lambda: len(own()) == 1)
    os.kill(own()[0], signal.SIGKILL)


def test_helpers_end_with_the_service_that_they_work_for(prepared: Prepared) -> None:
    prepared.prepare()
    assert prepared.agent.run("start").code == 0
    pid = prepared.agent.pid()
    named = f"printf helper-{pid} > /proc/$$/comm; read answer"
    with subprocess.Popen(["sh", "-c", named], stdin=subprocess.PIPE, start_new_session=True) as helper:
        until(lambda: helpers(pid) == [helper.pid])
        stopped = prepared.agent.run("stop")
        assert stopped.code == 0
        assert helper.wait(5) == -signal.SIGKILL, stopped.err


@pytest.mark.parametrize(
    "changed",
    [
        {"program": "/bin/sh"},
        {"file": "/etc/passwd"},
        {"context": "os.system"},
        {"socket": "/etc/passwd"},
        {"socket": "run/privsep.sock"},
    ],
)
def test_helper_that_is_not_allowed_goes_the_usual_way(prepared: Prepared, changed: dict[str, str]) -> None:
    prepared.prepare()
    done = ask_for(prepared, *helper_command(prepared, **changed))
    assert (done.returncode, done.stdout[:10]) == (0, "as usual: ")
    assert "is started as usual" in done.stderr


def test_helper_that_rootwrap_does_not_allow(prepared: Prepared) -> None:
    (prepared.agent.directory / "etc/rootwrap.conf").write_text("[DEFAULT]\nallows = nothing\n")
    prepared.prepare()
    done = ask_for(prepared, *helper_command(prepared))
    assert done.stdout.startswith("as usual: ")
    assert "rootwrap does not allow" in done.stderr


def test_daemon_of_rootwrap(prepared: Prepared) -> None:
    prepared.prepare()
    directory = prepared.agent.directory
    beginning = [str(directory / "bin/rootwrap"), str(directory / "etc/rootwrap.conf")]
    done = ask_for(prepared, *beginning, session=True)
    assert (done.returncode, done.stdout) == (3, f"helper {beginning[1]}\n")
    assert ask_for(prepared, *beginning, "--more").stdout.startswith("as usual: ")


def test_helper_without_anything_prepared(prepared: Prepared) -> None:
    assert ask_for(prepared, *helper_command(prepared)).stdout.startswith("as usual: ")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_helper_that_sudo_does_not_allow(prepared: Prepared) -> None:
    for path in [prepared.run, *prepared.run.parents][:5]:
        path.chmod(0o755)
    prepared.keeper.parameters["user"] = "nobody"
    prepared.prepare()
    command = helper_command(prepared)
    os.chown(command[-1], 65534, 65534)
    program = prepared.keeper.root / "lib/openstack/understudy_agent/helper.py"
    words = ["/usr/bin/python3", "-IS", str(program), str(prepared.socket("helpers")), "sudo", *command]
    done = subprocess.run(
        words, env={"PATH": "/nowhere"}, user=65534, group=65534, text=True, capture_output=True, check=False
    )
    assert "sudo" in done.stderr.splitlines()[0]
    assert "is started as usual" in done.stderr.splitlines()[0]
