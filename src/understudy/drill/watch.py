"""Starting the clients of a drill and bringing home the cluster's log (the rim: processes, hosts, clock)."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass

from understudy.drill.cluster_log import COROSYNC_LOG, PACEMAKER_LOG, NodeClock, parse_log
from understudy.drill.history import ClusterEvent, Event, HistoryError, Note, Observation, decode, now
from understudy.drill.probes.base import ProbeSettings
from understudy.findings import Finding, FindingsError
from understudy.hosts.model import Host

PROBE = (sys.executable, "-m", "understudy.drill.probe")
READY_SECONDS = 60
STOP_SECONDS = 600
LOG_SECONDS = 30
LINE_LIMIT = 1 << 22

Record = Callable[[Event], None]


class Watch:
    """A running probe process; its events go to the recorder as they come."""

    def __init__(self, process: asyncio.subprocess.Process, record: Record) -> None:
        self._process = process
        self._record = record
        self._ready: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._errors = b""
        self._reading = asyncio.create_task(self._read())
        self._complaining = asyncio.create_task(self._listen())

    async def ready(self) -> Mapping[str, str]:
        """Wait until all clients work; return by client why one could not be prepared, empty where it could.

        Raises FindingsError ``drill-probe-failed``.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), READY_SECONDS)
        except TimeoutError:
            raise _failed("the clients were not ready in time") from None

    async def stop(self) -> None:
        """Let the clients finish, writers look again at what they wrote, and end the process."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            self._record(Note(*now(), "The clients did not end in time."))
        await asyncio.gather(self._reading, self._complaining)
        if self._errors:
            self._record(Note(*now(), f"The clients said: {self._errors.decode(errors='replace').strip()}"))

    async def _read(self) -> None:
        if self._process.stdout is None:
            return
        async for line in self._process.stdout:
            try:
                event = decode(line.decode())
            except HistoryError as error:
                event = Note(*now(), str(error))
            self._record(event)
            if isinstance(event, Observation) and event.what == "ready" and not self._ready.done():
                self._ready.set_result(event.values)
        if not self._ready.done():
            await self._complaining
            self._ready.set_exception(_failed(self._errors.decode(errors="replace").strip()[-600:]))

    async def _listen(self) -> None:
        if self._process.stderr is not None:
            self._errors = await self._process.stderr.read()


def _failed(reason: str) -> FindingsError:
    return FindingsError([Finding("drill-probe-failed", values={"reason": reason})], exit_status=1)


@asynccontextmanager
async def watching(
    clients: Sequence[ProbeSettings], record: Record, prefix: Sequence[str] = ()
) -> AsyncIterator[Watch]:
    """Run clients in a process of their own and give the watch over them; they are ended on every way out.

    ``prefix`` is what the command is put behind, such as one that enters a network namespace. What the clients need
    to know, credentials too, goes over standard input. A drill that dies takes them along: its end closes that input.
    """
    process = await asyncio.create_subprocess_exec(
        *(*prefix, *PROBE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
    )
    watch = Watch(process, record)
    try:
        if process.stdin is not None:
            process.stdin.write(json.dumps([asdict(each) for each in clients]).encode() + b"\n")
            await process.stdin.drain()
        yield watch
        await watch.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@dataclass(frozen=True)
class LogMarks:
    """Where the logs of a node ended when the drill began, in bytes by path."""

    sizes: Mapping[str, int]


async def mark_logs(hosts: Mapping[str, Host]) -> dict[str, LogMarks]:
    """Return where each node's logs end now."""

    async def of(host: Host) -> LogMarks:
        sizes = {}
        for path in (PACEMAKER_LOG, COROSYNC_LOG):
            done = await host.run(["stat", "--format=%s", path], timeout=LOG_SECONDS)
            sizes[path] = int(done.text) if done.exit_status == 0 else 0
        return LogMarks(sizes)

    marks = await asyncio.gather(*(of(host) for host in hosts.values()))
    return dict(zip(hosts, marks, strict=True))


async def read_clock(host: Host) -> NodeClock:
    """Return how a node's clock stands to ours.

    Its reading is taken for the middle of the asking; an offset that the asking itself may explain is none.
    """
    before_wall, before = time.time_ns(), time.monotonic_ns()
    done = await host.run(["date", "+%s%N %z"], timeout=LOG_SECONDS)
    half = (time.monotonic_ns() - before) // 2
    stamp, zone = done.text.split()
    sign = -1 if zone.startswith("-") else 1
    seconds = sign * (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60)
    offset = int(stamp) - before_wall - half
    return NodeClock(
        wall=int(stamp),
        zone=seconds,
        offset=offset if abs(offset) > half else 0,
        monotonic=before_wall - before,
    )


async def read_logs(hosts: Mapping[str, Host], marks: Mapping[str, LogMarks]) -> list[Event]:
    """Return what the logs of all nodes say since they were marked; a node that cannot tell is noted, not raised."""

    async def of(name: str, host: Host) -> list[Event]:
        try:
            clock = await read_clock(host)
            found: list[ClusterEvent] = []
            for path, size in marks[name].sizes.items():
                done = await host.run(["tail", f"--bytes=+{size + 1}", path], timeout=LOG_SECONDS)
                found += parse_log(done.text.splitlines(), clock)
        except FindingsError as error:
            return [Note(*now(), f"{name} does not give its log: {error}")]
        seen = {"node": name, "offset": clock.offset}
        return [Observation(*now(), "clock", seen), *found]

    return [
        event for events in await asyncio.gather(*(of(*each) for each in hosts.items())) for event in events
    ]
