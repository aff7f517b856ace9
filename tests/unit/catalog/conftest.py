"""A daemon for the commands that stand between an agent and its service to find, or to end."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def daemon(pid_file: Path, script: str, title: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run something under the title of a daemon, known by its pid file."""
    with subprocess.Popen([title, "-c", script], executable="/bin/sh") as process:
        pid_file.write_text(f"{process.pid}\n")
        try:
            yield process
        finally:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGCONT)
                process.kill()
