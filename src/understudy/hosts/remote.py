"""Many small observations and changes on a node in one round trip."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from understudy.findings import Finding, FindingsError
from understudy.hosts.model import Completed, Host

MODULES = ("base", "files", "keys", "machine", "script")
"""The node's side, in the order in which its modules need each other."""

BOOTSTRAP = """\
import sys, types
source = sys.stdin.buffer
for _ in range(int(source.readline())):
    name, length = source.readline().split()
    module = sys.modules[name.decode()] = types.ModuleType(name.decode())
    exec(compile(source.read(int(length)), name.decode(), "exec"), module.__dict__)
module.main()
"""

COMMAND = ("/usr/bin/python3", "-IS", "-c", BOOTSTRAP)
GATHERING = 0.003
"""Seconds during which calls are gathered before they are sent together."""


@cache
def _sources() -> bytes:
    package = "understudy.hosts.node"
    parts = [f"{len(MODULES)}\n".encode()]
    for module in MODULES:
        source = (resources.files(package) / f"{module}.py").read_bytes()
        parts += [f"{package}.{module} {len(source)}\n".encode(), source]
    return b"".join(parts)


def request(calls: list[dict[str, Any]]) -> bytes:
    """Return what is written to the node's python3: the modules, then the calls."""
    return _sources() + json.dumps(calls).encode()


def calls_of(stdin: bytes) -> list[dict[str, Any]]:
    """Return the calls of a request (for hosts that answer without a python3 of their own)."""
    calls: list[dict[str, Any]] = json.loads(stdin[len(_sources()) :])
    return calls


USUAL_SECONDS = 30.0
"""How long a call may take that says nothing about it."""


@dataclass(frozen=True)
class _Waiting:
    call: dict[str, Any]
    limit: float
    answer: asyncio.Future[Any]


class Node:
    """A host as the kinds see it; calls that are made at the same time travel together."""

    def __init__(self, host: Host, wait_factor: float = 1.0) -> None:
        self.host = host
        self._wait_factor = wait_factor
        self._waiting: list[_Waiting] = []
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """Return the node's name."""
        return self.host.name

    async def ask(self, do: str, *, limit: float | None = None, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Have one call of the node's script answered; ``limit`` is in seconds, on the node too where it is given.

        Raises FindingsError (exit status 1) when the node refuses it or cannot be reached.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        call = {"do": do, **arguments} if limit is None else {"do": do, "limit": limit, **arguments}
        self._waiting.append(_Waiting(call, limit or USUAL_SECONDS, answer))
        if len(self._waiting) == 1:
            task = loop.create_task(self._send())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return await answer

    async def _send(self) -> None:
        await asyncio.sleep(GATHERING)
        sent, self._waiting = self._waiting, []
        sent = [waiting for waiting in sent if not waiting.answer.done()]
        if not sent:
            return
        limit = (15 + sum(waiting.limit for waiting in sent)) * self._wait_factor
        try:
            stdin = request([waiting.call for waiting in sent])
            answers = self._answers(await self.host.run(COMMAND, stdin=stdin, timeout=limit), len(sent))
        except BaseException as error:
            for waiting in sent:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for waiting, answer in zip(sent, answers, strict=True):
            self._settle(waiting.answer, answer)

    def _settle(self, waiting: asyncio.Future[Any], answer: Mapping[str, Any]) -> None:
        if waiting.done():
            return
        if "ok" in answer:
            waiting.set_result(answer["ok"])
        else:
            waiting.set_exception(self._failure(answer["refused"], answer["values"]))

    def _answers(self, done: Completed, count: int) -> list[dict[str, Any]]:
        if done.exit_status == 127:
            raise self._failure(
                "node-no-python", {"errors": done.stderr.decode(errors="replace").strip()[-300:]}
            )
        try:
            answers: list[dict[str, Any]] = json.loads(done.stdout)
        except ValueError:
            errors = done.stderr.decode(errors="replace").strip()[-600:] or done.text[:300]
            raise self._failure(
                "node-script-failed", {"status": done.exit_status, "errors": errors}
            ) from None
        return answers + [answers[-1]] * (count - len(answers))

    def _failure(self, code: str, values: Mapping[str, object]) -> FindingsError:
        return FindingsError(
            [Finding(code, values={**values, "node": self.name}, subject=self.name)], exit_status=1
        )
