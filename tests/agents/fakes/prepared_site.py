"""A Python of its own for fake console scripts: an interpreter, the modules that they import, and the scripts."""

from __future__ import annotations

import sys
from pathlib import Path

TITLE = '''
"""As the real one: it writes over the arguments and the environment that the process was started with."""
import ctypes
from pathlib import Path

FIELDS = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
START, END = int(FIELDS[45]), int(FIELDS[48])


def setproctitle(title):
    words = title.encode()[: END - START - 1]
    ctypes.memmove(START, words.ljust(END - START, b"\\0"), END - START)


def getproctitle():
    return Path("/proc/self/cmdline").read_text().rstrip("\\0").replace("\\0", " ")
'''
DAEMON = """
import os
import runpy
import sys
LOADED_BY = os.getpid()


def main():
    print("loaded by", LOADED_BY, flush=True)
    runpy.run_path({daemon!r})
"""
HELPER = """
import os
import sys
import time


def main():
    print("helper", " ".join(sys.argv[1:]), flush=True)
    print("to its standard error", file=sys.stderr, flush=True)
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for target in (1, 2):
            os.dup2(null, target)
        time.sleep(20)
        os._exit(0)
    return 3
"""
ROOTWRAP = '''
"""As much of rootwrap as is asked: it allows what its option file says."""


class NoFilterMatched(Exception):
    pass


class FilterMatchNotExecutable(Exception):
    pass


class RootwrapConfig:
    exec_dirs = ()

    def __init__(self, raw):
        self.filters_path = raw.get("DEFAULT", "allows").split()


class Match:
    run_as = "root"


def load_filters(path):
    return path


def match_filter(filters, command, exec_dirs):
    if command[0] not in filters:
        raise NoFilterMatched
    return Match()
'''
SCRIPT = """#!{python}
import sys

from {module} import main


if __name__ == "__main__":
    sys.exit(main())
"""


class Site:
    """The folder with all of it."""

    def __init__(self, directory: Path, daemon: Path) -> None:
        self.python = directory / "env/bin/python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.modules = directory / "env/lib" / version / "site-packages"
        self.modules.mkdir(parents=True)
        self.python.parent.mkdir(parents=True)
        base = Path(sys.base_prefix) / "bin" / version
        self.python.symlink_to(base)
        (directory / "env/pyvenv.cfg").write_text(f"home = {base.parent}\n")
        (self.modules / "oslo_rootwrap").mkdir()
        for name, text in (
            ("setproctitle.py", TITLE),
            ("fake_daemon.py", DAEMON.format(daemon=str(daemon))),
            ("fake_helper.py", HELPER),
            ("oslo_rootwrap/__init__.py", ""),
            ("oslo_rootwrap/wrapper.py", ROOTWRAP),
        ):
            (self.modules / name).write_text(text)

    def script(self, path: Path, module: str) -> Path:
        """Write a console script."""
        path.write_text(SCRIPT.format(python=self.python, module=module))
        path.chmod(0o755)
        return path
