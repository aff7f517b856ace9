"""The ground under the node's side: where paths lie, how programs are run, how a call is refused."""

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

Call = dict[str, Any]
ENVIRONMENT = {
    "LC_ALL": "C",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Refused(Exception):  # noqa: N818 - an answer, not a fault of the script
    """A call that is answered with a finding's code instead of a value."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


def _identity(user: str | None) -> dict[str, Any]:
    """Return who a program runs as: a user with all of its groups."""
    if user is None:
        return {}
    try:
        group = pwd.getpwnam(user).pw_gid
    except KeyError:
        raise Refused("node-unknown-user", user=user) from None
    return {"user": user, "group": group, "extra_groups": os.getgrouplist(user, group)}


class System:
    """The machine: ``root`` stands before every path, ``run`` starts programs."""

    def __init__(self, root: str = "") -> None:
        self.root = root

    def real(self, path: str) -> Path:
        """Return where a path lies; a symbolic link is followed, so that writing keeps the link."""
        return Path(os.path.realpath(self.root + path))

    def run(
        self,
        argv: list[str],
        *,
        stdin: str = "",
        limit: float = 60,
        user: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """Run a program to its end within ``limit`` seconds; return exit status, standard output and error."""
        try:
            done = subprocess.run(
                argv,
                input=os.fsencode(stdin),
                capture_output=True,
                timeout=limit,
                check=False,
                **_identity(user),
                env={**ENVIRONMENT, **(environment or {})},
            )
        except subprocess.TimeoutExpired:
            raise Refused("node-command-timed-out", command=argv[0], limit=limit) from None
        except OSError as error:
            return 127, "", str(error)
        return done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)

    def must(self, argv: list[str], *, limit: float = 60) -> str:
        """Run a program that has to succeed; return its standard output."""
        status, output, errors = self.run(argv, limit=limit)
        if status:
            raise Refused(
                "node-command-failed",
                command=" ".join(argv),
                status=status,
                errors=(errors.strip() or output.strip())[-600:],
            )
        return output
