"""The node's side of a fault: break something, note how to mend it, mend it. System python3, standard library only.

Standard input is one JSON object: ``do`` is ``inject``, ``heal`` or ``left``; ``id`` names the fault; ``steps`` is
what to break, ``timer`` the seconds after which the node mends itself if nobody has. What is to be undone is noted
before anything is done, below /run: a reboot forgets it with what it mended, but for files set aside, which are found
again by ``paths``, and for what the whole cluster was told, which is taken back by ``commands``. To mend twice does
nothing the second time. ``moved`` names the resources that a fault may have pinned to a node.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

Step = dict[str, Any]
Note = Callable[[Step], None]

FOLDER = pathlib.Path("/run/understudy-drill")
TABLE = "understudy_drill"
FILL = ".understudy-drill-fill"
ASIDE = ".understudy-drill"
NAME_LENGTH = 15  # of a process, as the kernel keeps it
SPARE = 1 << 16
GOING_DOWN = 0x8004587D  # FS_IOC_SHUTDOWN of XFS and ext4: _IOR('X', 125, __u32)
COMMAND_SECONDS = 60


def run(argv: list[str], text: str = "") -> str:
    """Run a command; raises OSError with what it said when it fails."""
    done = subprocess.run(
        argv, input=text, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
    )
    if done.returncode:
        raise OSError(f"{argv[0]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def processes() -> Iterator[int]:
    """Yield every process but this one."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            yield int(entry.name)


def name_of(pid: int) -> str:
    """Return the name of a process, or nothing."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
    return ""


def born(pid: int) -> str:
    """Return when a process began, in ticks, so that a recycled number is not taken for it."""
    fields = stat_of(pid)
    return fields[19] if fields else ""


def stat_of(pid: int) -> list[str]:
    """Return what /proc/PID/stat says after the name (proc(5)): state first; nothing of one that has ended."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return []


def listening(port: int) -> set[str]:
    """Return the socket numbers that listen on a TCP port (proc(5), /proc/net/tcp)."""
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in pathlib.Path("/proc/net", table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found


def _target(link: pathlib.Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""


def holders(sockets: set[str]) -> Iterator[int]:
    """Yield the processes that have one of the sockets open: a server and its workers."""
    for pid in processes():
        with contextlib.suppress(OSError):
            if any(_target(entry) in sockets for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
                yield pid


def family(pid_file: str) -> Iterator[int]:
    """Yield the process that is noted in a file with its time of birth, if it lives, and all that descend from it."""
    parents = {pid: int(fields[1]) for pid in processes() if (fields := stat_of(pid))}
    wanted: list[int] = []
    with contextlib.suppress(OSError, ValueError):
        noted, birth = pathlib.Path(pid_file).read_text("utf-8").split()
        wanted = [int(noted)] if born(int(noted)) == birth else []
    while wanted:
        found = wanted.pop()
        if found in parents:
            yield found
        wanted += [pid for pid, parent in parents.items() if parent == found]


def chosen(step: Step) -> list[int]:
    """Return the processes that a step is about, by name, by the port that they listen on or by their pid file."""
    if "pid_file" in step:
        return sorted(family(step["pid_file"]))
    if "port" in step:
        return sorted(holders(listening(step["port"])))
    names = {name[:NAME_LENGTH] for name in step["names"]}
    return sorted(pid for pid in processes() if name_of(pid) in names)


def send(pids: list[tuple[int, str]], number: int) -> None:
    """Send a signal to processes given with their times of birth."""
    for pid, birth in pids:
        if born(pid) == birth:
            with contextlib.suppress(OSError):
                os.kill(pid, number)


def _described(step: Step) -> str:
    if "pid_file" in step:
        return f"is noted in {step['pid_file']}"
    return f"listens on port {step['port']}" if "port" in step else f"is called {', '.join(step['names'])}"


def do_signal(step: Step, note: Note) -> None:
    """Kill or stop processes; stopped ones are continued."""
    pids = [(pid, born(pid)) for pid in chosen(step)]
    if not pids:
        raise OSError(f"nothing runs here that {_described(step)}")
    if step["signal"] == "STOP":
        note({"undo": "continue", "pids": pids})
    send(pids, getattr(signal, "SIG" + step["signal"]))


def do_filter(step: Step, note: Note) -> None:
    """Drop packets with nftables, in a table of our own."""
    rules = []
    for way, side, hook in (("in", "saddr", "input"), ("out", "daddr", "output")):
        if step["direction"] not in (way, "both"):
            continue
        rules.append(f"chain {way} {{ type filter hook {hook} priority -300; policy accept;")
        share = "" if step["percent"] >= 100 else f"numgen random mod 100 < {step['percent']} "
        for peer in step["peers"]:
            family = "ip6" if ":" in peer else "ip"
            rules.append(f"{family} {side} {peer} {share}drop")
        rules.append("}")
    table = f"{TABLE}_{step['id']}"
    note({"undo": "unfilter", "table": table})
    run(["nft", "-f", "-"], "\n".join((f"table inet {table} {{", *rules, "}", "")))


def do_file(step: Step, note: Note) -> None:
    """Put other bytes or another mode in a file's place; the file itself is set aside beside it."""
    path = pathlib.Path(step["path"])
    aside = pathlib.Path(step["path"] + ASIDE)
    if aside.exists():
        raise OSError(f"{aside} is there: an earlier drill was not mended")
    note({"undo": "file", "path": str(path)})
    path.rename(aside)
    shutil.copy2(aside, path)
    if "content" in step:
        path.write_text(step["content"], "utf-8")
    owner = aside.stat()
    os.chown(path, owner.st_uid, owner.st_gid)
    if "mode" in step:
        os.chown(path, 0, 0)
        path.chmod(step["mode"])


def on_root(path: pathlib.Path) -> bool:
    """Tell whether a path is on the root file system."""
    return path.stat().st_dev == pathlib.Path("/").stat().st_dev


def do_fill(step: Step, note: Note) -> None:
    """Fill a file system other than the root's."""
    folder = pathlib.Path(step["path"])
    if on_root(folder):
        raise OSError(f"{folder} is on the root file system, which is not filled")
    path = folder / FILL
    note({"undo": "remove", "path": str(path)})
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        size = 0
        chunk = 1 << 30
        while chunk >= SPARE:
            try:
                os.posix_fallocate(descriptor, size, chunk)
                size += chunk
            except OSError:
                chunk //= 2
    finally:
        os.close(descriptor)


def do_await_full(step: Step, note: Note) -> None:
    """Be ready to empty a file system that another node has filled: it may come here while it is full."""
    note({"undo": "remove", "path": str(pathlib.Path(step["path"]) / FILL)})


def do_lose_file_system(step: Step, note: Note) -> None:
    """Shut a file system down as when its device is gone: every access fails until it is mounted anew."""
    note({"undo": "nothing"})
    if on_root(pathlib.Path(step["path"])):
        raise OSError(f"{step['path']} is not mounted here")
    descriptor = os.open(step["path"], os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, GOING_DOWN, struct.pack("I", 2))
    finally:
        os.close(descriptor)


def do_command(step: Step, note: Note) -> None:
    """Run a command that another one takes back."""
    note({"undo": "command", "argv": step["undo"]})
    run(step["argv"])


def do_daemons(step: Step, note: Note) -> None:
    """Kill daemons of the cluster by name; they are started again where nothing else does."""
    note({"undo": "daemons", "daemons": step["daemons"]})
    do_signal(step, note)


def put_back(path: str) -> None:
    """Put a file that was set aside back in its place."""
    aside = pathlib.Path(path + ASIDE)
    if aside.exists():
        aside.replace(path)


def undo(entry: Step) -> None:
    """Take back one thing; raises OSError."""
    kind = entry["undo"]
    if kind == "continue":
        send([(pid, birth) for pid, birth in entry["pids"]], signal.SIGCONT)
    elif kind == "unfilter":
        if entry["table"] in run(["nft", "list", "tables"]):
            run(["nft", "delete", "table", "inet", entry["table"]])
    elif kind == "file":
        put_back(entry["path"])
    elif kind == "remove":
        pathlib.Path(entry["path"]).unlink(missing_ok=True)
    elif kind == "command":
        run(entry["argv"])
    elif kind == "daemons":
        start_daemons(entry["daemons"])


def start_daemons(daemons: list[tuple[str, str]]) -> None:
    """Start each daemon (script, process name) that does not run."""
    names = {name_of(pid) for pid in processes()}
    for daemon, process in daemons:
        if process[:NAME_LENGTH] not in names:
            run(["service", daemon, "start"])


def path_of(number: str) -> pathlib.Path:
    """Return where a fault's undoing is written."""
    if not re.fullmatch(r"[a-z0-9-]{1,64}", number):
        raise OSError(f"no name of a fault: {number}")
    return FOLDER / (number + ".json")


def inject(order: Step) -> None:
    """Note and break step by step; set the timer first, so that nothing outlives a lost connection."""
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    path = path_of(order["id"])
    entries: list[Step] = []

    def note(entry: Step) -> None:
        entries.append(entry)
        path.with_suffix(".new").write_text(json.dumps(entries), "utf-8")
        path.with_suffix(".new").replace(path)

    note({"undo": "nothing"})
    set_timer(order)
    for step in order["steps"]:
        STEPS[step["do"]]({**step, "id": order["id"].replace("-", "_")}, note)


def heal(order: Step) -> list[str]:
    """Take back what is noted, last first; what cannot be taken back stays noted. Return the problems."""
    path = path_of(order["id"])
    for each in order.get("paths", []):
        put_back(each)
        with contextlib.suppress(NotADirectoryError):
            pathlib.Path(each, FILL).unlink(missing_ok=True)
    try:
        entries = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        entries = [{"undo": "command", "argv": argv} for argv in order.get("commands", [])]
    problems: list[str] = []
    kept: list[Step] = []
    for entry in reversed(entries):
        try:
            undo(entry)
        except (OSError, subprocess.SubprocessError) as error:
            problems.append(str(error))
            kept.insert(0, entry)
    if kept:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        path.write_text(json.dumps(kept), "utf-8")
    else:
        path.unlink(missing_ok=True)
    return problems


def set_timer(order: Step) -> None:
    """Leave a process behind that mends when time is over; it ends at once when all is mended by then."""
    if os.fork():
        return
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        deadline = time.monotonic() + order["timer"]
        while path_of(order["id"]).exists():
            if time.monotonic() >= deadline:
                heal(order)
                deadline += 10
            time.sleep(0.5)
    finally:
        os._exit(0)


def pinned(resources: list[str]) -> Iterator[str]:
    """Yield by which command one of these resources has been moved and still is; none where no cluster runs."""
    if not resources:
        return
    try:
        text = run(["cibadmin", "--query", "--scope", "constraints"])
    except (OSError, subprocess.SubprocessError):
        return
    for resource in resources:
        for word, beginning in (
            ("preferred", f'cli-prefer-{resource}"'),
            ("banned", f"cli-ban-{resource}-on-"),
        ):
            if f'id="{beginning}' in text:
                yield f"{resource} is {word} somewhere: crm_resource --resource {resource} --clear"


def left(order: Step) -> list[str]:
    """Return what drills have left on this node."""
    found = [str(path) for path in FOLDER.glob("*.json")] if FOLDER.exists() else []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        found += [line.strip() for line in run(["nft", "list", "tables"]).splitlines() if TABLE in line]
    for path in order.get("paths", []):
        found += [each for each in (path + ASIDE, f"{path}/{FILL}") if pathlib.Path(each).exists()]
    found += pinned(order.get("moved", []))
    for pid in processes():
        if stat_of(pid)[:1] == ["T"]:
            found.append(f"stopped process {pid} ({name_of(pid)})")
    return found


STEPS = {
    "signal": do_signal,
    "filter": do_filter,
    "file": do_file,
    "fill": do_fill,
    "await-full": do_await_full,
    "lose-file-system": do_lose_file_system,
    "command": do_command,
    "daemons": do_daemons,
}


def main() -> None:
    """Do what standard input says and print what came of it."""
    order = json.load(sys.stdin)
    problem = ""
    found: list[str] = []
    try:
        if order["do"] == "inject":
            inject(order)
        elif order["do"] == "heal":
            found = heal(order)
            problem = "; ".join(found)
        else:
            found = left(order)
    except (OSError, subprocess.SubprocessError) as error:
        problem = str(error)
    json.dump({"problem": problem, "found": found}, sys.stdout)


if __name__ == "__main__":
    main()
