"""The verdicts on a drill, from its history alone (pure). Each is yes, no or unknown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.drill.faults.registry import FAULTS
from understudy.drill.history import SECOND, ClusterEvent, History
from understudy.drill.judge import OWNER, FaultOutcome, fencing_resources, outcomes
from understudy.findings import Finding

Answer = Literal["yes", "no", "unknown"]

MARGIN = 1.25
"""A measured outage may be so many times the predicted one, and FLOOR seconds more, before it is a finding."""
FLOOR = 1.0

QUESTIONS: Mapping[str, str] = {
    "served-again": "every client was served again",
    "one-active": "no resource was active on two nodes, says the cluster's log",
    "one-owner": "no address was answered for by two machines, says the network",
    "writes-kept": "every acknowledged write is still there",
    "nothing-left": "nothing is left behind on the nodes",
    "healthy-again": "the cluster was healthy again within the limit",
    "only-meant": "no node was fenced but those that were meant to fall",
    "all-healed": "every fault was healed",
    "as-predicted": "no outage was longer than predicted",
}


@dataclass(frozen=True)
class Verdict:
    """The answer to one of QUESTIONS; ``details`` say what speaks against it or what is missing."""

    question: str
    answer: Answer
    details: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The question as a statement."""
        return QUESTIONS[self.question]


@dataclass(frozen=True)
class Comparison:
    """Prediction against measurement for one fault and service, in seconds."""

    fault: str
    label: str
    service: str
    predicted: float
    measured: float

    @property
    def differs(self) -> bool:
        """Tell whether it took longer than the margin allows."""
        return self.measured > self.predicted * MARGIN + FLOOR


@dataclass(frozen=True)
class Judgement:
    """Everything that a drill showed."""

    outcomes: tuple[FaultOutcome, ...]
    verdicts: tuple[Verdict, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def answer(self) -> Answer:
        """All verdicts together: no if one is no, unknown if one is unknown and none is no."""
        answers = {verdict.answer for verdict in self.verdicts}
        return "no" if "no" in answers else "unknown" if "unknown" in answers else "yes"

    def findings(self) -> list[Finding]:
        """Return what is wrong, for the command line."""
        wrong = [verdict for verdict in self.verdicts if verdict.answer == "no"]
        open_ = [verdict for verdict in self.verdicts if verdict.answer == "unknown"]
        return [
            *(_finding("drill-verdict-no", verdict, "error") for verdict in wrong),
            *(_finding("drill-verdict-unknown", verdict, "warning") for verdict in open_),
        ]


def _finding(code: str, verdict: Verdict, severity: Literal["error", "warning"]) -> Finding:
    values = {"statement": verdict.words, "details": "; ".join(verdict.details)}
    return Finding(code, severity=severity, values=values, subject=verdict.question)


def judge(history: History) -> Judgement:
    """Return what a history shows."""
    found = outcomes(history)
    compared = comparisons(history, found)
    verdicts = (
        served_again(found),
        one_active(history),
        one_owner(history),
        writes_kept(history),
        nothing_left(history),
        healthy_again(history, found),
        only_meant(found),
        all_healed(history, found),
        as_predicted(compared),
    )
    return Judgement(tuple(found), verdicts, tuple(compared))


def _verdict(question: str, against: Iterable[str], missing: Iterable[str] = ()) -> Verdict:
    wrong, unknown = tuple(against), tuple(missing)
    if wrong:
        return Verdict(question, "no", wrong)
    return Verdict(question, "unknown", unknown) if unknown else Verdict(question, "yes")


def served_again(found: Sequence[FaultOutcome]) -> Verdict:
    """Answer whether each client's outages ended; unknown without clients."""
    against = [
        f"{client.figures.client} after {outcome.label}"
        for outcome in found
        for client in outcome.clients
        if not client.figures.ended
    ]
    watched = any(client.figures.operations for outcome in found for client in outcome.clients)
    return _verdict("served-again", against, () if watched or not found else ("no client watched",))


def one_active(history: History) -> Verdict:
    """Answer from the cluster's log whether a resource ever ran on two nodes that had not been fenced in between.

    A copy is taken to run from the end of its start until its stop has ended, its node was fenced or the node joined
    anew. Resources that ran on several nodes at the beginning are copies and left out, as are fencing devices.
    """
    first = next(iter(history.observations("cluster")), None)
    if first is None:
        return Verdict("one-active", "unknown", ("where things ran at the beginning was not observed",))
    began = {name: set(nodes) for name, nodes in first.values["active"].items()}
    copies = {name for name, nodes in began.items() if len(nodes) > 1} | fencing_resources(history)
    running = {name: nodes for name, nodes in began.items() if name not in copies}
    against = []
    for event in history.cluster:
        if event.monotonic < first.monotonic or event.subject in copies:
            continue
        _follow(running, event)
        nodes = running.get(event.subject, set())
        if event.what == "operation-ended" and len(nodes) > 1:
            moment = (event.monotonic - history.begin) / SECOND
            against.append(f"{event.subject} on {', '.join(sorted(nodes))} at {moment:.2f} s")
    missing = [] if history.cluster else ["the cluster's log is empty"]
    return _verdict("one-active", against, missing)


def _follow(running: dict[str, set[str]], event: ClusterEvent) -> None:
    if event.what in {"fencing-ended", "node-joined"} and event.values.get("result", "OK") == "OK":
        for nodes in running.values():
            nodes.discard(event.subject)
    elif event.what == "operation-ended" and event.values.get("code") == "0":
        nodes = running.setdefault(event.subject, set())
        if event.values["operation"] == "start":
            nodes.add(event.node)
        elif event.values["operation"] == "stop":
            nodes.discard(event.node)


def one_owner(history: History) -> Verdict:
    """Answer from ARP answers whether two machines ever claimed an address at the same time."""
    asked = [one for one in history.operations if one.client.startswith(OWNER)]
    if not asked:
        return Verdict("one-owner", "unknown", ("nobody asked the network",))
    against = [
        f"{one.client.removeprefix('owner-')} by {one.value} at {(one.began - history.begin) / SECOND:.2f} s"
        for one in asked
        if "," in one.value
    ]
    return _verdict("one-owner", against)


@dataclass(frozen=True)
class Written:
    """What a client wrote: acknowledged, not known, and how much of the acknowledged is gone (None: not looked)."""

    client: str
    acknowledged: int
    unknown: int
    gone: tuple[str, ...] | None


def written(history: History) -> list[Written]:
    """Return what each client wrote and what is left of it."""
    good: dict[str, set[str]] = {}
    unsure: dict[str, int] = {}
    for one in history.operations:
        if one.client.startswith(OWNER):
            continue
        if one.ok and one.value:
            good.setdefault(one.client, set()).add(one.value)
        elif one.outcome == "unknown":
            unsure[one.client] = unsure.get(one.client, 0) + 1
    looked = {one.values["client"]: one.values["values"] for one in history.observations("written")}
    return [
        Written(
            client,
            len(values),
            unsure.get(client, 0),
            None if looked.get(client) is None else tuple(sorted(values - set(looked[client]))),
        )
        for client, values in good.items()
    ]


def writes_kept(history: History) -> Verdict:
    """Answer whether everything that was acknowledged was found again; what may have happened may be there or not."""
    found = written(history)
    against = [
        f"{len(one.gone)} of {one.acknowledged} writes of {one.client} are gone, such as {one.gone[0]}"
        for one in found
        if one.gone
    ]
    missing = [f"what {one.client} wrote could not be looked at" for one in found if one.gone is None]
    return _verdict("writes-kept", against, missing or ([] if found else ["nothing was written"]))


def nothing_left(history: History) -> Verdict:
    """Answer whether the nodes are as before."""
    looked = history.observations("left")
    if not looked:
        return Verdict("nothing-left", "unknown", ("nobody looked",))
    left = looked[-1].values["left"]
    return _verdict("nothing-left", (f"{node}: {', '.join(found)}" for node, found in left.items()))


def healthy_again(history: History, found: Sequence[FaultOutcome]) -> Verdict:
    """Answer whether the cluster was as before in time after every fault."""
    looked = {one.values["number"]: one.values for one in history.observations("healthy")}
    against = [
        f"after {outcome.label}: {'; '.join(looked[outcome.number]['problems'])}"
        for outcome in found
        if outcome.number in looked and looked[outcome.number]["seconds"] is None
    ]
    missing = [f"after {outcome.label}" for outcome in found if outcome.number not in looked]
    return _verdict("healthy-again", against, missing)


def only_meant(found: Sequence[FaultOutcome]) -> Verdict:
    """Answer whether a node was fenced that no fault was aimed at, or by a fault that should not end in fencing."""
    against = []
    for outcome in found:
        meant = any(FAULTS[name].fences for name in outcome.fault.split("+") if name in FAULTS)
        against += [
            f"{span.subject} after {outcome.label}"
            for span in outcome.fenced
            if span.result == "ok" and (span.subject not in outcome.targets or not meant)
        ]
    return _verdict("only-meant", against)


def all_healed(history: History, found: Sequence[FaultOutcome]) -> Verdict:
    """Answer whether each fault was taken back."""
    failed = {event.number: event.detail for event in history.faults() if event.phase == "heal-failed"}
    against = [f"{outcome.label}: {failed[outcome.number]}" for outcome in found if outcome.number in failed]
    missing = [outcome.label for outcome in found if outcome.healed is None and outcome.number not in failed]
    return _verdict("all-healed", against, missing)


def comparisons(history: History, found: Sequence[FaultOutcome]) -> list[Comparison]:
    """Return prediction and measurement side by side: the longest outage of any client of each service."""
    predicted: Mapping[str, Mapping[str, float]] = {}
    for observation in history.observations("about"):
        predicted = observation.values.get("prediction") or {}
    compared = []
    for outcome in found:
        aimed = predicted.get(f"{outcome.fault}:{outcome.service}", predicted.get(outcome.fault, {}))
        for service, seconds in aimed.items():
            seen = [client.figures for client in outcome.clients if client.figures.service == service]
            if seen:
                measured = max(figures.total for figures in seen)
                compared.append(Comparison(outcome.fault, outcome.label, service, seconds, measured))
    return compared


def as_predicted(compared: Sequence[Comparison]) -> Verdict:
    """Answer whether nothing took longer than predicted; unknown without a prediction."""
    against = [
        f"{one.service} after {one.label}: {one.measured:.2f} s, predicted {one.predicted:.2f} s"
        for one in compared
        if one.differs
    ]
    return _verdict("as-predicted", against, () if compared else ("nothing was predicted",))
