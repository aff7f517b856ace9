"""The program: its commands, and what every one of them does with findings and interruption."""

import asyncio
import atexit
import errno
import os
import sys

from cyclopts import App, CycloptsError

from understudy import __version__
from understudy.cli.console import BAD_INPUT, FAILED, err, findings_json, print_findings, print_json, summary
from understudy.findings import FindingsError, count

INTERRUPTED, TERMINATED = 130, 143
HELP = ("--help", "-h")
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

app = App(
    name="understudy",
    version=__version__,
    help="Highly available OpenStack control planes on Pacemaker: derived from one file, proved, applied, rehearsed.",
    result_action="return_value",
)
COMMANDS = (
    "init:init",
    "check:check",
    "render:render",
    "plan:plan",
    "apply:apply",
    "status:status",
    "prove_command:prove",
    "drill:drill",
    "drill:report",
    "secrets:secrets",
    "catalog:catalog",
    "schema:schema",
    "lab:app",
)
"""Where the commands are; each is imported when it is called, so that none waits for what another one needs."""

for place in COMMANDS:
    app.command(f"understudy.cli.{place}", name="lab" if place == "lab:app" else None)
app.register_install_completion_command(name="completion")


def _import_all() -> None:
    """Import every command, so that the list of them says what each does."""
    for name in app:
        app[name]


def main() -> None:
    """Run one command and leave with its exit status: 0 done, 1 failed, 2 bad input, 3 a change is pending."""
    status = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = status or FAILED
    atexit._run_exitfuncs()  # noqa: SLF001 - what asked to be called at the end is
    # Python would now take down every object by itself, for half a second in which the user waits.
    os._exit(status)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        if not arguments or arguments[0] in HELP:
            _import_all()
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=True)
        result = command(*bound.args, **bound.kwargs)
        if asyncio.iscoroutine(result):
            result = asyncio.run(result)
    except CycloptsError:
        return BAD_INPUT
    except FindingsError as error:
        return _report(error, as_json="--json" in arguments)
    except (KeyboardInterrupt, asyncio.CancelledError) as ended:
        err.print("Interrupted.")
        # A command that has something to take back is cancelled by SIGTERM.
        return INTERRUPTED if isinstance(ended, KeyboardInterrupt) else TERMINATED
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        err.print(f"The output cannot be written: {error.strerror}.")
        return FAILED
    return result if isinstance(result, int) else 0


def _report(error: FindingsError, *, as_json: bool) -> int:
    if as_json:
        print_json({"findings": findings_json(error.findings)})
    else:
        print_findings(error.findings)
        untouched = " Nothing was touched." if error.exit_status == BAD_INPUT else ""
        if count(error.findings, "error"):
            err.print(f"{summary(error.findings)}.{untouched}")
    return error.exit_status
