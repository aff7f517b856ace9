"""Kernel parameters, units, packages, programs and the lock of a node."""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from understudy.hosts.node.base import Call, Refused, System
from understudy.hosts.node.files import content_of, make_directories, replace

SYSCTL_FILE = "/etc/sysctl.d/60-understudy.conf"
AGENTS_STATE = "/run/resource-agents"
LOCK_FILE = "/run/understudy.lock"
APT = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Options::=--force-confold"]


def run(system: System, call: Call) -> object:
    """Run a program (``argv``, ``stdin``, ``user``, ``limit`` seconds); its exit status is part of the answer."""
    status, output, errors = system.run(
        call["argv"],
        stdin=call.get("stdin", ""),
        limit=call.get("limit", 60),
        user=call.get("user"),
        environment=call.get("environment"),
    )
    return {"exit_status": status, "stdout": output, "stderr": errors}


# Kernel parameters


def _parameter_file(system: System, name: str) -> Path:
    """Return the parameter's file; in a name the separators change places, as in sysctl(8)."""
    return system.real("/proc/sys/" + name.translate(str.maketrans("./", "/.")))


def _kept_parameters(system: System) -> dict[str, str]:
    lines = (content_of(system.real(SYSCTL_FILE)) or b"").decode("utf-8", "replace").splitlines()
    pairs = (
        line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith(("#", ";"))
    )
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_sysctl(system: System, call: Call) -> object:
    """Return the value now and the one that our file sets at boot; None where there is none."""
    try:
        now = " ".join(_parameter_file(system, call["name"]).read_text().split())
    except OSError:
        now = None
    return {"now": now, "kept": _kept_parameters(system).get(call["name"])}


def write_sysctl(system: System, call: Call) -> object:
    """Set a parameter now, and at boot too where ``keep`` is true (else our file does not name it)."""
    name, value = call["name"], call["value"]
    kept = _kept_parameters(system)
    wanted = {key: kept[key] for key in kept if key != name}
    if call["keep"]:
        wanted[name] = value
    if wanted != kept:
        text = "".join(f"{key} = {wanted[key]}\n" for key in sorted(wanted))
        path = system.real(SYSCTL_FILE)
        make_directories(path.parent, 0o755)
        replace(path, text.encode(), (os.geteuid(), os.getegid()), 0o644)
    parameter = _parameter_file(system, name)
    try:
        if " ".join(parameter.read_text().split()) != value:
            parameter.write_text(value)
    except OSError as error:
        raise Refused("node-sysctl-failed", name=name, value=value, reason=error.strerror) from None
    return {}


# Units


def read_unit(system: System, call: Call) -> object:
    """Return whether a unit is known, enabled and running under the service manager.

    ``enabled`` is None for a unit that cannot be enabled or disabled.
    """
    if system.real("/run/systemd/system").is_dir():
        return _systemd_unit(system, call["name"])
    return _sysv_unit(system, call["name"])


def _systemd_unit(system: System, name: str) -> object:
    shown = system.must(["systemctl", "show", "--property=LoadState,UnitFileState,ActiveState", "--", name])
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    enabled: bool | None = state.get("UnitFileState") in {
        "enabled",
        "enabled-runtime",
        "linked",
        "linked-runtime",
    }
    if state.get("UnitFileState") == "generated":
        enabled = _sysv_enabled(system, name)
    elif state.get("UnitFileState") in {"static", "indirect", "alias", "transient"}:
        enabled = None
    return {
        "manager": "systemd",
        "known": state.get("LoadState") not in {None, "not-found"},
        "enabled": enabled,
        "running": state.get("ActiveState") in {"active", "activating", "reloading"},
    }


def _sysv_unit(system: System, name: str) -> object:
    known = system.real(f"/etc/init.d/{name}").is_file()
    return {
        "manager": "sysv",
        "known": known,
        "enabled": known and _sysv_enabled(system, name),
        "running": known and _sysv_running(system, name),
    }


def _sysv_enabled(system: System, name: str) -> bool:
    pattern = re.compile(rf"S\d\d{re.escape(name)}")
    links = system.real("/etc/rc2.d")
    return links.is_dir() and any(pattern.fullmatch(link.name) for link in links.iterdir())


def _sysv_running(system: System, name: str) -> bool:
    """Say whether the init script's own daemon runs; one that Pacemaker started is not the script's.

    The script's ``status`` alone is no witness: those of the OpenStack packages look for a process by the
    daemon's program, which is not found for a Python program and is any uWSGI for a uWSGI service; and a
    script whose program is not installed exits 0 without a word. So a process has to bear the name as well.
    """
    if any(_alive(system, file) for file in _pid_files(system, name)):
        return True
    if not _runs_outside_pacemaker(system, name):
        return False
    status, output, _ = system.run(["service", name, "status"], limit=20)
    return status == 0 and bool(output.strip())


def _pid_files(system: System, name: str) -> list[Path]:
    below = system.real("/run")
    return [below / f"{name}.pid", *sorted(below.glob(f"*/{name}.pid"))]


def _alive(system: System, pid_file: Path) -> bool:
    """Say whether the process of a pid file lives and is not Pacemaker's."""
    try:
        process = system.real(f"/proc/{int(pid_file.read_text().split()[0])}")
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError, IndexError):
        return False
    return state not in {"Z", "X"} and not _of_an_agent(system, process)


def _runs_outside_pacemaker(system: System, name: str) -> bool:
    """Say whether a process with this name on its command line is a daemon that no resource agent started.

    Somebody's command is none: a client of the database, say, which this very program runs elsewhere meanwhile.
    """
    for process in system.real("/proc").glob("[0-9]*"):
        try:
            named = name.encode() in (process / "cmdline").read_bytes()
        except OSError:
            continue
        if not named:
            continue
        above = list(_with_ancestors(process))
        commanded = any(_command(one).startswith("sshd") for one in above)
        # One that is gone by now tells nothing about itself any more.
        if not (commanded or any(_of_an_agent(system, one) for one in above)) and process.exists():
            return True
    return False


def _command(process: Path) -> str:
    """Return the name that a process has for the kernel."""
    try:
        return (process / "stat").read_text().partition("(")[2].rpartition(")")[0]
    except OSError:
        return ""


def _with_ancestors(process: Path) -> Iterator[Path]:
    """Give a process and those above it: a daemon's workers are in no pid file."""
    while process.name not in {"0", "1"}:
        yield process
        try:
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            return
        process = process.with_name(parent)


def _of_an_agent(system: System, process: Path) -> bool:
    """Say whether a resource agent started a process: it is in its pid files, or the environment still tells."""
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        environment = []
    if any(entry.startswith(b"OCF_RESOURCE_INSTANCE=") for entry in environment):
        return True
    for pid_file in system.real(AGENTS_STATE).glob("*.pid"):
        try:
            if pid_file.read_text().split()[:1] == [process.name]:
                return True
        except (OSError, ValueError):
            continue
    return False


def write_unit(system: System, call: Call) -> object:
    """Enable or disable, then start or stop a unit; what is None or absent stays as it is."""
    name, limit = call["name"], call.get("limit", 120)
    enabled, running = call.get("enabled"), call.get("running")
    systemd = system.real("/run/systemd/system").is_dir()
    if not systemd and not system.real(f"/etc/init.d/{name}").is_file():
        raise Refused("node-unit-unknown", name=name)
    if enabled is not None:
        word = "enable" if enabled else "disable"
        if systemd:
            system.must(["systemctl", word, "--", name], limit=limit)
        else:
            _sysv_switch(system, name, word)
    if running is not None:
        word = "start" if running else "stop"
        system.must(["systemctl", word, "--", name] if systemd else ["service", name, word], limit=limit)
    return {}


def _sysv_switch(system: System, name: str, word: str) -> None:
    """Switch the links of an init script; one without any has to get them first."""
    links = system.real("/etc").glob(f"rc[2-5].d/[SK][0-9][0-9]{name}")
    if not any(links):
        system.must(["update-rc.d", name, "defaults"])
    system.must(["update-rc.d", name, word])


# Packages


def read_packages(system: System, call: Call) -> object:
    """Return the installed version of each package; None where it is not installed."""
    _, output, _ = system.run(
        ["dpkg-query", "--show", "--showformat=${Package}\t${db:Status-Status}\t${Version}\n", *call["names"]]
    )
    rows = [line.split("\t") for line in output.splitlines()]
    installed = {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}
    return {name: installed.get(name) for name in call["names"]}


def install_packages(system: System, call: Call) -> object:
    """Install packages without a question; the lists are fetched only when they do not know a name."""
    limit = call.get("limit", 900)
    command = [*APT, "install", "--no-install-recommends", "--", *call["names"]]
    status, _, errors = system.run(command, limit=limit)
    if status and ("Unable to locate" in errors or "no installation candidate" in errors):
        system.must([*APT, "update"], limit=limit)
        status, _, errors = system.run(command, limit=limit)
    if status:
        raise Refused("node-package-failed", names=" ".join(call["names"]), errors=errors.strip()[-600:])
    return {}


# The lock: in /run, so that a boot clears it; its time is the node's own


def take_lock(system: System, call: Call) -> object:
    """Take or renew the lock for ``owner``; one not renewed for ``stale`` seconds is taken over."""
    path = system.real(LOCK_FILE)
    present = content_of(path)
    if present is not None:
        held = _held(present)
        if held.get("owner") == call["owner"]:
            os.utime(path)
            return {"taken_over": ""}
        age = time.time() - path.stat().st_mtime
        if age < call["stale"]:
            raise Refused("node-locked", holder=held.get("holder", "somebody"), age=int(age))
        path.unlink()
    make_directories(path.parent, 0o755)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"owner": call["owner"], "holder": call["holder"]}, file)
    return {"taken_over": "" if present is None else _held(present).get("holder", "somebody")}


def _held(content: bytes) -> dict[str, str]:
    try:
        held = json.loads(content)
    except ValueError:
        return {}
    return held if isinstance(held, dict) else {}


def release_lock(system: System, call: Call) -> object:
    """Give the lock back where it is the owner's."""
    path = system.real(LOCK_FILE)
    present = content_of(path)
    if present is not None and _held(present).get("owner") == call["owner"]:
        path.unlink()
    return {}
