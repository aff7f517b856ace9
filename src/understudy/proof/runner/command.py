"""Pacemaker's scheduler through the ``crm_simulate`` command: slower, any version, the same answers."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from understudy.proof.runner.library import SchedulerUnavailableError


def command_version() -> str | None:
    """Return the version of ``crm_simulate`` on this machine; None where there is none."""
    program = shutil.which("crm_simulate", path=_path())
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env=_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Pacemaker (\S+)", answer.stdout)
    return match[1] if match else None


def _path() -> str:
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def _environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return kept | {"LC_ALL": "C", "PATH": _path(), "CIB_shadow_dir": tempfile.gettempdir()}


class CommandScheduler:
    """One ``crm_simulate -R -G`` process a call; raises ``SchedulerUnavailableError`` where it is missing."""

    def __init__(self, limit: float = 60.0) -> None:
        program = shutil.which("crm_simulate", path=_path())
        if program is None:
            raise SchedulerUnavailableError("crm_simulate is not installed (package pacemaker-cli-utils)")
        self._program = program
        self._limit = limit

    def graph(self, cib: bytes, now: int | None) -> bytes:
        """Return the transition graph for this CIB; raises ``ValueError`` if ``crm_simulate`` refuses it."""
        del now  # the CIB carries it as its execution date
        with tempfile.TemporaryDirectory(prefix="understudy-proof-") as folder:
            source, target = Path(folder) / "cib.xml", Path(folder) / "graph.xml"
            source.write_bytes(cib)
            try:
                answer = subprocess.run(
                    [self._program, "--run", "--xml-file", str(source), "--save-graph", str(target)],
                    capture_output=True,
                    text=True,
                    timeout=self._limit,
                    check=False,
                    env=_environment(),
                )
            except subprocess.TimeoutExpired as error:
                raise ValueError(f"crm_simulate did not answer within {self._limit:g} s") from error
            if not target.exists():
                reason = answer.stderr.strip().splitlines()[-1:] or [f"exit status {answer.returncode}"]
                raise ValueError(f"crm_simulate: {reason[0]}")
            return target.read_bytes()
