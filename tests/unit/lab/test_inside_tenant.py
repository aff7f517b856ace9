"""The stand-in for a tenant's machine, and that for the metadata service, as programs."""

import hmac
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests

from understudy.lab.room import METADATA
from understudy.lab.tenant import INSIDE

SECRET = "a secret"
INSTANCE = "8a6a3a0e"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-IS", str(INSIDE), *words], capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="an echo request needs a raw socket")
def test_an_echo_is_told_and_its_absence_too() -> None:
    done = run("ping", "127.0.0.1")
    assert (done.returncode, float(done.stdout) < 1) == (0, True)
    done = run("ping", "255.255.255.255")
    assert (done.returncode, done.stdout) == (1, "")
    assert "255.255.255.255 does not answer" in done.stderr


def test_an_interface_that_is_none_is_told() -> None:
    for words in (("lease", "none0"), ("renew", "none0", "10.0.0.5")):
        done = run(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "No such device" in done.stderr


@pytest.fixture
def url() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [sys.executable, "-IS", str(METADATA), "127.0.0.1", str(port)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(f"{SECRET}\n")
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/latest/meta-data/instance-id"
        process.kill()


def test_an_instance_reads_its_id_where_neutrons_agent_has_signed(url: str) -> None:
    signature = hmac.new(SECRET.encode(), INSTANCE.encode(), "sha256").hexdigest()
    headers = {"X-Instance-ID": INSTANCE, "X-Instance-ID-Signature": signature}
    answer = requests.get(url, headers=headers, timeout=5)
    # Neutron's metadata agent takes no answer without a type (neutron/agent/metadata/agent.py).
    assert (answer.text, answer.headers["content-type"]) == (INSTANCE, "text/plain")
    assert requests.get(url, timeout=5).status_code == 403
