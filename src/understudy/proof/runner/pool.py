"""Worker processes that share the scenarios: one abort or hang costs one scenario, and is told."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lxml

ALLOCATORS = ("libtcmalloc_minimal.so.4", "libjemalloc.so.2")
LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")

PROGRAM = [sys.executable, "-S", "-m", "understudy.proof.runner.worker"]
"""Without site packages, whose search takes longer than the imports: the paths needed are given."""

Scenario = list[list[str]]


class WorkerDiedError(Exception):
    """A worker ended or was too slow; the text says how."""


def allocator() -> str | None:
    """Return the path of a faster allocator, if this machine has one."""
    paths = (Path(folder) / name for name in ALLOCATORS for folder in LIBRARY_FOLDERS)
    return next((str(path) for path in paths if path.exists()), None)


class Process:
    """One worker process."""

    def __init__(self) -> None:
        source, packages = str(Path(__file__).resolve().parents[3]), str(Path(lxml.__file__).parents[1])
        environment = {**os.environ, "LC_ALL": "C", "CIB_shadow_dir": tempfile.gettempdir()}
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, (source, packages, os.environ.get("PYTHONPATH")))
        )
        if preload := allocator():
            environment["LD_PRELOAD"] = preload
        self.complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            PROGRAM,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            env=environment,
        )
        self._buffer = b""
        self.chunk: list[Scenario] = []
        self.base = 0
        self.done = 0
        self.heard = time.monotonic()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; raises ``WorkerDiedError``."""
        if self.process.stdin is None:
            raise WorkerDiedError("no input")
        try:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise WorkerDiedError(self.why()) from error
        self.heard = time.monotonic()

    @property
    def descriptor(self) -> int:
        """Return the file descriptor that answers come from."""
        return self.process.stdout.fileno() if self.process.stdout else -1

    def receive(self) -> list[dict[str, Any]]:
        """Return the answers that have come; raises ``WorkerDiedError`` at the end of them."""
        data = os.read(self.descriptor, 1 << 20)
        if not data:
            raise WorkerDiedError(self.why())
        self.heard = time.monotonic()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def ask(self, message: dict[str, Any], limit: float) -> dict[str, Any]:
        """Send a message and return its one answer; raises ``WorkerDiedError`` after ``limit`` seconds."""
        self.send(message)
        return self.answer(limit)

    def answer(self, limit: float) -> dict[str, Any]:
        """Wait for one answer; raises ``WorkerDiedError`` after ``limit`` seconds."""
        end = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self.descriptor, selectors.EVENT_READ)
            while (left := end - time.monotonic()) > 0:
                if selector.select(left) and (answers := self.receive()):
                    return answers[0]
        raise WorkerDiedError(f"no answer within {limit:g} s")

    def why(self) -> str:
        """Return how the process ended, and its last words."""
        code = (
            self.process.wait(timeout=10)
            if self.process.poll() is None and not self._open()
            else self.process.poll()
        )
        self.complaints.seek(0, os.SEEK_END)
        self.complaints.seek(max(self.complaints.tell() - 2000, 0))
        words = self.complaints.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        return f"{how}{': ' + words[-1] if words else ''}"

    def _open(self) -> bool:
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return False

    def close(self) -> None:
        """End the process."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    continue
        self.complaints.close()


@dataclass
class Pool:
    """Workers with the same configuration loaded; ``limit`` seconds at most for one scenario."""

    load: dict[str, Any]
    size: int = 2
    limit: float = 30.0
    workers: list[Process] = field(default_factory=list)

    def spawn(self) -> None:
        """Start the workers, which then wait for their configuration."""
        self.workers = self.workers or [Process() for _ in range(self.size)]

    def start(self) -> dict[str, Any]:
        """Give the workers the configuration and return the first one's answer to it."""
        self.spawn()
        for worker in self.workers:
            worker.send(self.load)
        answers = [worker.answer(self.limit * 2) for worker in self.workers]
        return answers[0]

    def play(
        self, chunks: Iterator[list[Scenario]], options: dict[str, Any]
    ) -> Iterator[tuple[Scenario, dict[str, Any]]]:
        """Yield every scenario with its answer as it comes, an answer with ``failed`` where there was none.

        A worker gets a chunk at a time: what has much in common should be in one.
        """
        queue: deque[list[Scenario]] = deque()
        busy: set[Process] = set()
        selector = selectors.DefaultSelector()

        def feed(worker: Process) -> None:
            worker.chunk = queue.popleft() if queue else next(chunks, [])
            worker.done = 0
            if worker.chunk:
                worker.send({"do": "play", "scenarios": worker.chunk, **options})
                busy.add(worker)
            else:
                busy.discard(worker)

        for worker in self.workers:
            selector.register(worker.descriptor, selectors.EVENT_READ, worker)
            feed(worker)
        while busy:
            ready = [key.data for key, _ in selector.select(1.0)]
            for worker in ready:
                try:
                    for answer in worker.receive():
                        worker.done += 1
                        yield worker.chunk[answer["number"]], answer
                    if worker.done >= len(worker.chunk):
                        feed(worker)
                except WorkerDiedError as error:
                    yield from self._replace(worker, selector, queue, busy, str(error))
                    feed(self.workers[-1])
            now = time.monotonic()
            for worker in [item for item in busy if now - item.heard > self.limit]:
                yield from self._replace(worker, selector, queue, busy, f"no verdict within {self.limit:g} s")
                feed(self.workers[-1])
        selector.close()

    def _replace(
        self,
        worker: Process,
        selector: selectors.BaseSelector,
        queue: deque[list[Scenario]],
        busy: set[Process],
        reason: str,
    ) -> Iterator[tuple[Scenario, dict[str, Any]]]:
        selector.unregister(worker.descriptor)
        busy.discard(worker)
        left = worker.chunk[worker.done :]
        worker.close()
        self.workers.remove(worker)
        if left:
            if left[1:]:
                queue.appendleft(left[1:])
            yield left[0], {"failed": reason}
        fresh = Process()
        self.workers.append(fresh)
        fresh.ask(self.load, self.limit * 2)
        selector.register(fresh.descriptor, selectors.EVENT_READ, fresh)

    def ask_all(self, message: dict[str, Any], limit: float) -> list[dict[str, Any]]:
        """Ask every worker the same and return their answers."""
        for worker in self.workers:
            worker.send(message)
        return [worker.answer(limit) for worker in self.workers]

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.close()
        self.workers.clear()
