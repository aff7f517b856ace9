#!/usr/bin/python3
"""A message broker for the lab in place of qpidd, which no distribution has any more: AMQP 1.0 with Qpid Proton.

It is a test broker. It takes qpidd's command line as far as the agent uses it (``--config``), and of the option file
``port``, ``interface`` and ``data-dir``. A queue exists as soon as somebody names it. A durable message is on the disk
before it counts as accepted, and is handed out again until somebody has accepted it; everybody may do everything.
"""

import argparse
import base64
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proton import Delivery, Endpoint, Link, Message  # type: ignore[import-not-found]
from proton.handlers import MessagingHandler  # type: ignore[import-not-found]
from proton.reactor import Container  # type: ignore[import-not-found]

DEFAULTS = {"port": "5672", "interface": "127.0.0.1", "data-dir": "/var/lib/qpidd", "auth": "no"}


class Journal:
    """What has become of the durable messages: a line for each that came, and one for each that has gone."""

    def __init__(self, directory: Path) -> None:
        self._lock = (directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sys.exit(f"critical Unexpected error: Cannot lock {directory}/lock: held by another process")
        self._file = (directory / "messages.jsonl").open("a+b")

    def kept(self) -> Iterator[tuple[int, str, bytes]]:
        """Give number, queue and content of each message that has not gone; a line that was cut short never counted."""
        self._file.seek(0)
        found: dict[int, tuple[str, bytes]] = {}
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            entry = json.loads(line)
            if "queue" in entry:
                found[entry["number"]] = entry["queue"], base64.b64decode(entry["content"])
            else:
                found.pop(entry["number"], None)
        self._file.truncate(whole)
        yield from ((number, queue, content) for number, (queue, content) in found.items())

    def came(self, number: int, queue: str, content: bytes) -> None:
        """Keep a message."""
        self._write({"number": number, "queue": queue, "content": base64.b64encode(content).decode()})

    def gone(self, number: int) -> None:
        """Keep it no longer."""
        self._write({"number": number})

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class Broker(MessagingHandler):  # type: ignore[misc]
    """All queues, and who takes from them."""

    def __init__(self, place: str, journal: Journal) -> None:
        super().__init__(auto_accept=False)
        self._place, self._journal = place, journal
        self._waiting: dict[str, dict[int, bytes]] = {}
        self._takers: dict[str, list[Link]] = {}
        self._handed: dict[int, tuple[str, bytes, Link]] = {}
        self._number = 0
        for number, queue, content in journal.kept():
            self._waiting.setdefault(queue, {})[number] = content
            self._number = max(self._number, number)

    def on_start(self, event: Any) -> None:
        event.container.listen(self._place)

    def on_link_opening(self, event: Any) -> None:
        link = event.link
        if link.is_sender:
            link.source.address = link.remote_source.address
            self._takers.setdefault(link.source.address, []).append(link)
        else:
            link.target.address = link.remote_target.address

    def on_message(self, event: Any) -> None:
        self._number += 1
        queue, content = event.link.target.address, event.message.encode()
        if event.message.durable:
            self._journal.came(self._number, queue, content)
        self._waiting.setdefault(queue, {})[self._number] = content
        self.accept(event.delivery)
        self._hand_out(queue)

    def on_sendable(self, event: Any) -> None:
        self._hand_out(event.link.source.address)

    def _hand_out(self, queue: str) -> None:
        waiting = self._waiting.get(queue, {})
        for link in self._takers.get(queue, ()):
            while waiting and link.credit > 0:
                number = min(waiting)
                content = waiting.pop(number)
                message = Message()
                message.decode(content)
                self._handed[number] = queue, content, link
                link.send(message, tag=str(number))

    def on_accepted(self, event: Any) -> None:
        self._settled(event.delivery, gone=True)

    def on_released(self, event: Any) -> None:
        self._settled(event.delivery, gone=False)

    def _settled(self, delivery: Delivery, *, gone: bool) -> None:
        number = int(delivery.tag)
        if not gone:
            self._put_back(number)
        elif self._handed.pop(number, None):
            self._journal.gone(number)

    def _put_back(self, number: int) -> None:
        queue, content, _ = self._handed.pop(number)
        self._waiting[queue][number] = content

    def on_link_closing(self, event: Any) -> None:
        self._left(event.link)

    def on_connection_closing(self, event: Any) -> None:
        self._all_left(event.connection)

    def on_disconnected(self, event: Any) -> None:
        self._all_left(event.connection)

    def _all_left(self, connection: Any) -> None:
        link = connection.link_head(Endpoint.LOCAL_ACTIVE)
        while link is not None:
            self._left(link)
            link = link.next(Endpoint.LOCAL_ACTIVE)

    def _left(self, link: Link) -> None:
        """Take back what somebody who goes was given and has not accepted."""
        if not link.is_sender:
            return
        for takers in self._takers.values():
            takers[:] = [taker for taker in takers if taker != link]
        held = [number for number, (_, _, taker) in self._handed.items() if taker == link]
        for number in held:
            self._put_back(number)
        for queue in list(self._waiting) if held else ():
            self._hand_out(queue)


def options_in(path: Path) -> dict[str, str]:
    """Return the options of a file of qpidd's."""
    lines = path.read_text(encoding="utf-8").splitlines()
    written = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {**DEFAULTS, **{name: value for name, _, value in written}}


def main() -> None:
    """Run until a signal ends it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config", type=Path, required=True)
    options = options_in(arguments.parse_args().config)
    if options["auth"] != "no":
        sys.exit("critical Unexpected error: the test broker knows no users, it needs auth=no")
    place = f"{options['interface']}:{options['port']}"
    Container(Broker(place, Journal(Path(options["data-dir"])))).run()


if __name__ == "__main__":
    main()
