"""The actions of an agent, each ending in an exit code of OCF or a Failure."""

from __future__ import annotations

import time

from . import dependencies, net, ocf, processes, serving, watcher
from .ocf import Deadline, Failure, say
from .processes import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .launch import Daemon
    from .processes import Process
    from .service import Service

SERVING_SHARE = 0.4
POLL = 0.1
LAST_LOOK = 0.7
WAITING, BETWEEN = 30.0, 2.0
"""Seconds in which a service that ends at its start is launched again, and between two launches."""
TALKED = 10.0
"""One that lived for so many seconds has got as far as to talk to others; wrong options end it sooner."""
LONGEST_LOOK = 5.0


def status(service: Service) -> int:
    """Return whether the service's processes run, without asking them anything."""
    return _find(service, Identity(service))[0]


def _find(service: Service, identity: Identity) -> tuple[int, Process | None]:
    """Return the exit code for what the process table shows, and the master."""
    process = processes.recorded(service, identity)
    if process:
        return ocf.SUCCESS, process
    copies = processes.search(service, identity)
    if copies.masters:
        _adopt(service, copies.masters[0])
        return ocf.SUCCESS, copies.masters[0]
    if copies.leftovers:
        pids = ", ".join(str(process.pid) for process in copies.leftovers)
        raise Failure(
            ocf.ERR_GENERIC, f"the master of {service.name} is gone, workers are left behind: {pids}"
        )
    return ocf.NOT_RUNNING, None


def _adopt(service: Service, process: Process) -> None:
    """Write the pid file of a process that something else has started, so that it need not be searched again."""
    try:
        processes.record(service, process)
    except OSError as error:
        say(f"{service.name}: the pid file cannot be written: {error}")


def monitor(service: Service) -> int:
    """Tell apart: dead, alive but not serving, serving while a dependency is gone, serving."""
    deadline = ocf.deadline(service.environ)
    code, process = _find(service, Identity(service))
    probe = ocf.is_probe("monitor", service.environ)
    if process is None:
        if probe:
            watcher.absent(service)
        return code
    if not probe:
        watcher.ensure(service)
    if service.listens:
        trouble, waits = serving.answers(service, deadline.within(deadline.left() * SERVING_SHARE))
        if trouble:
            code = _unanswered(service, process, trouble, deadline, waits=waits)
            return ocf.SUCCESS if probe else code
        serving.at_ease(service)
    return ocf.SUCCESS if probe else _monitor_deeply(service, process, deadline)


def _unanswered(service: Service, process: Process, trouble: str, deadline: Deadline, *, waits: bool) -> int:
    """Return the code for a service that runs and does not answer where a restart would mend nothing, else fail."""
    gone = dependencies.gone(service, deadline)
    if waits and gone:
        return _degraded(service, "; ".join(gone), "keeps its clients waiting:")
    if waits and serving.at_work(service, process, deadline):
        return _degraded(service, "it has more to do than it can", "keeps its clients waiting:")
    raise Failure(ocf.ERR_GENERIC, _explained(service, trouble, gone))


def _monitor_deeply(service: Service, process: Process, deadline: Deadline) -> int:
    gone = dependencies.gone(service, deadline.within(deadline.left() / 2))
    if gone:
        serving.forget(service)
        return _degraded(service, "; ".join(gone))
    if service.data.get("connected"):
        trouble = serving.unconnected(service, process)
        if trouble:
            raise Failure(ocf.ERR_GENERIC, trouble)
    if "heartbeat" in service.data:
        return _monitor_heartbeat(service, deadline)
    return _monitor_api(service, deadline) if "api" in service.data else ocf.SUCCESS


def _monitor_heartbeat(service: Service, deadline: Deadline) -> int:
    from . import heartbeat

    trouble, own_fault = heartbeat.unheard(service, deadline.within(deadline.left() * 0.8))
    if trouble and own_fault:
        raise Failure(ocf.ERR_GENERIC, trouble)
    return _degraded(service, trouble) if trouble else ocf.SUCCESS


def _monitor_api(service: Service, deadline: Deadline) -> int:
    level = service.environ.get("OCF_CHECK_LEVEL", "")
    own = level.isdigit() and int(level) >= 10
    if not own and not service.given("os_password"):
        return ocf.SUCCESS
    if not net.is_local(service.target()[0]):
        return ocf.SUCCESS
    from . import identity

    who = identity.credentials(service, own=own)
    if who is None:
        return ocf.SUCCESS
    try:
        trouble = identity.trouble(service, who, deadline.within(deadline.left() * 0.8))
    except identity.TokenError as error:
        if service.data["api"].get("issues_tokens") and not error.refused:
            trouble = str(error)
        else:
            return _degraded(service, str(error))
    if not trouble:
        return ocf.SUCCESS
    gone = dependencies.gone(service, deadline)
    if gone:
        return _degraded(service, "; ".join(gone))
    raise Failure(ocf.ERR_GENERIC, f"everything that {service.name} depends on answers, but {trouble}")


def _degraded(service: Service, reason: str, does: str = "serves, but") -> int:
    """Return the code for a service that does what it can: restarting it would mend nothing."""
    return ocf.degraded(f"{service.name} {does} {reason}", service.environ)


def _explained(service: Service, trouble: str, gone: list[str]) -> str:
    """Return the trouble, and with it the dependencies that do not answer and may be its cause."""
    if not gone:
        return trouble
    late = service.data["listen"].get("after_dependencies")
    why = " (it opens its address only when that answers)" if late else ""
    return f"{trouble}; {'; '.join(gone)}{why}"


def start(service: Service) -> int:
    """Start the service, and return when it serves."""
    deadline = ocf.deadline(service.environ)
    from . import validation

    identity = Identity(service)
    copies = processes.search(service, identity)
    if copies.masters:
        _adopt(service, copies.masters[0])
        return _watched(service, _await_running(service, copies.masters[0], deadline))
    watcher.end(service)
    validation.of_host(service)
    if copies.leftovers:
        from . import stopping

        stopping.end_leftovers(service, identity, copies.leftovers, deadline)
    _refuse_second_copy(service)
    return _watched(service, _launch_again_and_again(service, identity, deadline))


def _watched(service: Service, code: int) -> int:
    """Have a running service watched, and return the code of the action."""
    watcher.ensure(service)
    return code


def _await_running(service: Service, process: Process, deadline: Deadline) -> int:
    """Wait until a service that runs already serves."""
    while service.listens:
        trouble, waits = serving.answers(service, deadline.within(max(1.0, deadline.left() / 3)))
        if not trouble or (waits and dependencies.gone(service, deadline)):
            break
        if deadline.left() < 1 or not process.alive():
            raise Failure(ocf.ERR_GENERIC, _explained(service, trouble, dependencies.gone(service, deadline)))
        deadline.sleep(POLL * 5)
    return ocf.SUCCESS


def _refuse_second_copy(service: Service) -> None:
    """Raise Failure if somebody listens where the service will: with SO_REUSEPORT both would, unnoticed."""
    if not service.listens:
        return
    host, port = service.host(), service.port()
    taken = net.listeners(host, port)
    if not taken:
        return
    pids = net.holders({endpoint.inode for endpoint in taken})
    names = [f"process {pid} ({' '.join(processes.command_line(pid))[:80]})" for pid in pids[:1]]
    who = names[0] if names else f"a process of another pid namespace (user {taken[0].uid})"
    raise Failure(ocf.ERR_GENERIC, f"{service.name} is not started: {host}:{port} is in use by {who}")


class Ended(Failure):
    """The service has ended during its start."""


def _launch_again_and_again(service: Service, identity: Identity, deadline: Deadline) -> int:
    """Launch the service, anew for a while if it ends because something that it depends on does not answer.

    Some do: without Keystone, Nova's scheduler ends. A start that fails keeps a resource from its node for long, and
    after the loss of all nodes everything starts at once. That it waits is limited, because Pacemaker decides nothing
    else meanwhile. One that lived for long is launched once more in any case: an answer that it did not get may have
    been the only one.
    """
    until = deadline.within(WAITING)
    gone: list[str] = []
    first = True
    while True:
        begun = time.monotonic()
        try:
            return _launch(service, identity, deadline)
        except Ended as ended:
            before, gone = gone, dependencies.gone(service, deadline.within(LONGEST_LOOK))
            # What has just come back had not when the service looked for it.
            reasons = gone or before
            once_more = first and time.monotonic() - begun >= TALKED
            if not once_more and (until.left() < BETWEEN or not reasons):
                raise
            say(f"{ended.reason}; launched again, as {'; '.join(reasons) or 'it had begun its work'}")
        first = False
        deadline.sleep(BETWEEN)


def _launch(service: Service, identity: Identity, deadline: Deadline) -> int:
    from . import launch

    serving.forget(service)
    begun = time.monotonic()
    daemon = launch.Daemon(service)
    if daemon.failure:
        raise Failure(ocf.ERR_INSTALLED, f"{service.name} cannot be executed: {daemon.failure}")
    process = daemon.process()
    if process:
        processes.record(service, process)
    pause = POLL / 2
    while not deadline.passed():
        process = daemon.process() or _successor(service, identity, daemon)
        patience = deadline.within(max(1.0, deadline.left() / 4))
        if serving.ready(service, process, time.monotonic() - begun, patience):
            return ocf.SUCCESS
        deadline.sleep(pause)
        pause = min(pause * 1.3, POLL * 5)
    trouble = serving.unanswered(service, Deadline(LAST_LOOK)) if service.listens else ""
    text = _explained(
        service,
        trouble or f"{service.name} runs, but was not ready in time",
        dependencies.gone(service, Deadline(LAST_LOOK)),
    )
    words = daemon.last_words()
    raise Failure(ocf.ERR_GENERIC, f"{text}. It said: {words}" if words else text)


def _successor(service: Service, identity: Identity, daemon: Daemon) -> Process:
    """Return the master that the started process has left behind, if it went to the background by itself."""
    masters = processes.search(service, identity).masters if daemon.exit_code == 0 else []
    if not masters:
        processes.remove(service.pid_file)
        raise Ended(ocf.ERR_GENERIC, f"{service.name} {daemon.epitaph()}")
    processes.record(service, masters[0])
    return masters[0]


def stop(service: Service) -> int:
    """Stop the service; what is not running has been stopped."""
    from . import stopping

    watcher.end(service)
    remark = stopping.stop(service, Identity(service))
    if "leaves" in service.data:
        from . import dataplane

        dataplane.after_stop(service)
    say(f"{service.name} {remark}")
    return ocf.SUCCESS


def validate_all(service: Service) -> int:
    """Check the parameters, and from check level 10 on this host as well."""
    from . import validation

    level = service.environ.get("OCF_CHECK_LEVEL", "")
    validation.of_parameters(service)
    if level.isdigit() and int(level) >= 10:
        validation.of_host(service)
    return ocf.SUCCESS


def reload_agent(service: Service) -> int:
    """Make the service read its options again, without an interruption."""
    import signal

    name = service.mode.get("reload", "")
    if not name:
        raise Failure(ocf.ERR_UNIMPLEMENTED, f"{service.name} launched by {service.mode_name} cannot reload")
    deadline = ocf.deadline(service.environ)
    _code, process = _find(service, Identity(service))
    if process is None:
        return ocf.NOT_RUNNING
    processes.send([process], signal.Signals[f"SIG{name}"])
    deadline.sleep(1)
    if not process.alive():
        raise Failure(ocf.ERR_GENERIC, f"{service.name} has ended instead of reloading")
    return _await_running(service, process, deadline)
