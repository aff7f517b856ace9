#!/usr/bin/python3
"""A daemon that behaves as its option file says, to be given to an agent as the service's program."""

import configparser
import os
import signal
import socket
import ssl
import sys
import time
from pathlib import Path


def answer(stream: socket.socket, settings: configparser.SectionProxy) -> None:
    """Answer one request: 401 to a token that is not in the file of good ones, else what the settings say."""
    request = stream.recv(65536).decode("latin-1")
    if settings.get("behaviour") == "hang":
        time.sleep(3600)
    while settings.get("behaviour") == "toil":
        pass
    path = request.split(" ")[1] if " " in request else "/"
    status = settings.get("status", "300")
    if "X-Auth-Token: " in request:
        token = request.split("X-Auth-Token: ")[1].split("\r\n")[0]
        good = Path(settings["tokens"]).read_text().split()
        status = settings.get("api_status", "200") if token in good else "401"
        with Path(settings["tokens"] + ".asked").open("a") as log:
            log.write(f"{path} {token} {status}\n")
    stream.sendall(f"HTTP/1.0 {status} Fake\r\nContent-Length: 2\r\n\r\n{{}}".encode())


def serve(listener: socket.socket, settings: configparser.SectionProxy) -> None:
    """Answer requests for ever."""
    context = None
    if "certificate" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings["certificate"])
    while True:
        stream, _ = listener.accept()
        with stream:
            try:
                answer(context.wrap_socket(stream, server_side=True) if context else stream, settings)
            except OSError:
                continue


def take_signals(behaviour: str, path: str) -> None:
    """Leave some signals without their effect, or leave a trace of them beside the option file."""
    if behaviour == "ignore-term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "hup":
        signal.signal(signal.SIGHUP, lambda *_: Path(path + ".hup").touch())


def give_up_once(path: Path, seconds: float) -> None:
    """End after a while, the first time; a file says that it was."""
    if not path.exists():
        path.touch()
        time.sleep(seconds)
        sys.exit("ERROR: answered 503")


def need(port: int) -> None:
    """End where nobody listens."""
    time.sleep(0.2)
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)):
            sys.exit("ERROR: nobody is there")


def main() -> None:
    """Run as the option file says."""
    options = configparser.RawConfigParser()
    paths = [word.partition("=")[2] for word in sys.argv[1:] if word.startswith(("--config-file=", "--ini="))]
    options.read(paths)
    settings = options["fake"]
    behaviour = settings.get("behaviour", "serve")
    if behaviour == "die":
        time.sleep(0.2)
        sys.exit("ERROR: cannot connect to mysql://glance:verysecret@db/glance, password=verysecret")
    if behaviour == "need":
        need(int(settings["needed"]))
    if "gives_up_after" in settings:
        give_up_once(Path(paths[0] + ".once"), float(settings["gives_up_after"]))
    take_signals(behaviour, paths[0])
    time.sleep(float(settings.get("delay", "0")))
    held = []
    if "hold" in settings:
        held.append(socket.create_connection(("127.0.0.1", int(settings["hold"]))))
    if "bind_port" not in options["DEFAULT"]:
        time.sleep(3600)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND: an address of another host will do
    listener.bind((options["DEFAULT"]["bind_host"], int(options["DEFAULT"]["bind_port"])))
    listener.listen(64)
    for _ in range(int(settings.get("workers", "0"))):
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "ignore-term" else signal.SIG_DFL)
            serve(listener, settings)
    if settings.get("workers"):
        signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
        while True:
            time.sleep(3600)
    serve(listener, settings)


main()
