#!/usr/bin/python3
"""A message broker that begins a login as qpidd does, and goes no further; its option file says how it behaves."""

import socket
import sys
import threading
import time
from pathlib import Path

HEADER_0_10, HEADER_SASL, HEADER_1_0 = b"AMQP\1\1\0\x0a", b"AMQP\3\1\0\0", b"AMQP\0\1\0\0"
START = b"\x0f\0\0\x0e" + bytes(8) + b"\1\1"
MECHANISMS = b"\0\0\0\x15\2\1\0\0\0S@\xc0\x08\1\xa3\5PLAIN"
OPEN = b"\0\0\0\x10\2\0\0\0\0S\x10\xc0\3\1\xa1\0"


def converse(stream: socket.socket, behaviour: str) -> None:
    """Answer the header that a client begins with."""
    with stream:
        answer(stream, stream.recv(8), behaviour)


def answer(stream: socket.socket, header: bytes, behaviour: str) -> None:
    """Answer it as the behaviour says."""
    if behaviour == "silent":
        time.sleep(3600)
    elif behaviour == "other":
        stream.sendall(b"220 mail.example.org ESMTP\r\n")
    elif behaviour == "stuck":
        stream.sendall(header)
        time.sleep(3600)
    elif behaviour == "without-login":
        stream.sendall(header + OPEN)
    elif behaviour == "closes":
        return
    elif header == HEADER_0_10 and behaviour != "1.0":
        stream.sendall(HEADER_0_10 + START)
    elif header == HEADER_SASL and behaviour != "0-10":
        stream.sendall(HEADER_SASL + MECHANISMS)
    else:
        stream.sendall(HEADER_0_10 if behaviour == "0-10" else HEADER_1_0)


def main() -> None:
    """Run as the option file says."""
    path = next(word.partition("=")[2] for word in sys.argv[1:] if word.startswith("--config="))
    lines = [line.split("=", 1) for line in Path(path).read_text().splitlines() if "=" in line]
    options = dict(lines)
    behaviour = options.get("behaviour", "both")
    if behaviour == "die":
        sys.exit(
            "2013-10-17 critical Unexpected error: Cannot lock /var/lib/qpidd/lock: lock held by another process"
        )
    listener = socket.create_server(("127.0.0.1", int(options["port"])))
    while True:
        stream, _ = listener.accept()
        threading.Thread(target=converse, args=(stream, behaviour), daemon=True).start()


if __name__ == "__main__":
    main()
