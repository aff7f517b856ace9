"""The clients of a drill, in one process that may stand in a network of its own: ``python -m understudy.drill.probe``.

Standard input: one line of JSON, a list of ProbeSettings; the clients work until a line ``stop`` or its end. Standard
output: events of a history, and an observation ``ready`` once all are prepared. An operation never waits for the one
before: each begins at its own time, and one that hangs is given up at its deadline. Over a connection that is in use
none begins: what waited there until its deadline would say nothing of the service.
"""

import asyncio
import errno
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress

from understudy.drill.history import Completed, Event, Invoked, Observation, Outcome, encode, now
from understudy.drill.probes.base import NotServedError, Probe, ProbeSettings
from understudy.drill.probes.registry import PROBES

PREPARE_SECONDS = 30
COLLECT_SECONDS, MOST_COLLECT_SECONDS = 60, 500
PER_WRITE_SECONDS = 0.1
"""What was written is looked for one by one where a service has no better way."""
RETRY_SECONDS = 0.5
FLUSH_SECONDS = 0.1


class Clients:
    """Runs probes at their rates and records every operation."""

    def __init__(self, probes: Iterable[Probe]) -> None:
        self._probes = tuple(probes)
        self._stop = asyncio.Event()
        self._lines: list[str] = []
        self._pending: set[asyncio.Task[None]] = set()
        self._writes: Counter[str] = Counter()

    async def run(self) -> None:
        """Prepare all probes, work until told to stop, then look again at what was written."""
        self._listen()
        flusher = asyncio.create_task(self._flush_regularly())
        prepared = await asyncio.gather(*(self._prepare(probe) for probe in self._probes))
        ready = {probe.settings.client: error for probe, error in zip(self._probes, prepared, strict=True)}
        self._observe("ready", ready)
        count = len(self._probes)
        paces = (self._pace(probe, index / count) for index, probe in enumerate(self._probes))
        await asyncio.gather(*paces)
        if self._pending:
            await asyncio.wait(self._pending)
        await asyncio.gather(*(self._collect(probe) for probe in self._probes))
        flusher.cancel()
        self._flush()

    async def _prepare(self, probe: Probe) -> str:
        """Return why a probe could not be prepared; empty when it could."""
        problem = "no time"
        with suppress(TimeoutError):
            async with asyncio.timeout(PREPARE_SECONDS):
                while not self._stop.is_set():
                    try:
                        async with asyncio.timeout(5 * probe.settings.deadline):
                            await probe.prepare()
                    except (OSError, NotServedError) as error:
                        problem = _reason(error)
                        await asyncio.sleep(RETRY_SECONDS)
                    else:
                        return ""
        return problem

    async def _pace(self, probe: Probe, share: float) -> None:
        """Begin an operation at every tick.

        Left out are ticks that the machine slept through, and those at which the probe's connection is in use.
        """
        clock = asyncio.get_running_loop().time
        interval = 1 / probe.settings.rate
        tick = clock() + share * interval
        number = 0
        while not self._stop.is_set():
            rest = tick - clock()
            if rest > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), rest)
                    return
            if not probe.busy():
                task = asyncio.create_task(self._operate(probe, number))
                self._pending.add(task)
                task.add_done_callback(self._pending.discard)
                number += 1
            tick = max(tick + interval, clock() - interval)

    async def _operate(self, probe: Probe, number: int) -> None:
        client, service = probe.settings.client, probe.settings.service
        self._record(Invoked(*now(), client, service, number))
        outcome: Outcome = "ok"
        detail = value = ""
        try:
            async with asyncio.timeout(probe.settings.deadline):
                value = await probe.operate(number)
            self._writes[client] += bool(value)
        except (OSError, NotServedError) as error:
            outcome = "unknown" if probe.writes and _may_have_happened(error) else "fail"
            detail = _reason(error)
        self._record(Completed(*now(), client, number, outcome, detail, value))

    async def _collect(self, probe: Probe) -> None:
        """Record what a writer finds again; None as values when it could not look."""
        if not probe.writes:
            return
        values = None
        more = PER_WRITE_SECONDS * self._writes[probe.settings.client]
        with suppress(TimeoutError):
            async with asyncio.timeout(min(COLLECT_SECONDS + more, MOST_COLLECT_SECONDS)):
                while values is None:
                    with suppress(OSError, NotServedError):
                        async with asyncio.timeout(10 * probe.settings.deadline + more):
                            values = await probe.collect()
                    if values is None:
                        await asyncio.sleep(RETRY_SECONDS)
                with suppress(OSError, NotServedError):
                    await probe.tidy()
        self._observe("written", {"client": probe.settings.client, "values": values})

    def _observe(self, what: str, values: Mapping[str, object]) -> None:
        self._record(Observation(*now(), what, values))

    def _record(self, event: Event) -> None:
        self._lines.append(encode(event))

    def _flush(self) -> None:
        if self._lines:
            sys.stdout.write("\n".join(self._lines) + "\n")
            sys.stdout.flush()
            self._lines.clear()

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._flush()

    def _listen(self) -> None:
        """Stop at whatever comes on standard input, its end above all: then who wanted to know is gone."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            loop.remove_reader(sys.stdin.fileno())
            self._stop.set()

        loop.add_reader(sys.stdin.fileno(), heard)


def _may_have_happened(error: Exception) -> bool:
    """Tell whether a failed write may be there: not when no connection came about or the server refused it."""
    return not isinstance(error, ConnectionRefusedError | NotServedError)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) and not getattr(error, "errno", None):
        return "deadline"
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, str(error.errno))
    return str(error) or type(error).__name__


def read_settings(text: str) -> list[ProbeSettings]:
    """Return the clients that are described in JSON."""
    return [ProbeSettings(**each) for each in json.loads(text)]


def main() -> None:
    """Read who the clients are, and let them work."""
    line = b""
    # Unbuffered, so that the line that ends the work stays in the pipe where the event loop sees it.
    with open(0, "rb", buffering=0, closefd=False) as pipe:
        while not line.endswith(b"\n") and (byte := pipe.read(1)):
            line += byte
    settings = read_settings(line.decode())
    asyncio.run(Clients(PROBES[each.kind](each) for each in settings).run())


if __name__ == "__main__":
    main()
