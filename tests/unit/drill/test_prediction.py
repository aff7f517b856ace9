"""What the proof says of a fault of a drill, and what of it goes into the record."""

from pathlib import Path

import pytest

from understudy.catalog.load import load_catalog
from understudy.drill.faults.registry import FAULTS
from understudy.drill.history import SECOND, Completed, Event, FaultEvent, History, Invoked, Observation
from understudy.drill.prediction import PLAYED, matrix_of, prediction
from understudy.drill.verdicts import judge
from understudy.proof.result import Proof, Row
from understudy.proof.scenarios import FAULTS as KINDS
from understudy.proof.scenarios import Fault
from understudy.spec.load import load_spec
from understudy.spec.model import Standby

SPEC = load_spec(Path(__file__).parents[3] / "examples" / "image-api.yaml").spec


def row(bounds: dict[str, float], *faults: Fault, word: str = "moved") -> Row:
    return Row(str(faults), faults, dict.fromkeys(bounds, word), bounds=bounds)


PROOF = Proof(
    "image-api",
    rows=[
        row(
            {"mariadb": 30.0, "glance-api": 9.0}, Fault("node-lost", "", "a"), Fault("node-returns", "", "a")
        ),
        row({"ip-api-public": 5.0}, Fault("node-lost", "", "b")),
        row({"mariadb": 99.0}, Fault("node-lost", "", "a"), Fault("node-lost", "", "b")),
        row({"keystone": 12.0}, Fault("monitor", "keystone"), word="restarted"),
        row({"glance-api": 7.0}, Fault("monitor", "glance-api"), word="restarted"),
    ],
    services=["mariadb", "keystone"],
    played=5,
)


def test_bound_is_the_longest_of_what_a_client_needs() -> None:
    told = prediction(PROOF, SPEC, load_catalog())
    assert told["power-loss"] == {"mariadb": 30.0, "keystone": 30.0, "glance-api": 30.0}
    assert told["process-killed:keystone"] == {"mariadb": 0.0, "keystone": 12.0, "glance-api": 12.0}
    assert told["process-killed:glance-api"] == {"mariadb": 0.0, "keystone": 0.0, "glance-api": 7.0}
    grouped = Proof("g", rows=[row({"g_api": 8.0}, Fault("monitor", "glance-api"))], played=1)
    within = prediction(grouped, SPEC, load_catalog(), {"glance-api": "g_api", "keystone": "g_api"})
    assert within["process-killed:glance-api"] == {"mariadb": 0.0, "keystone": 8.0, "glance-api": 8.0}
    assert prediction(Proof("nothing"), SPEC, load_catalog()) == {}


@pytest.mark.parametrize(("standby", "neighbour"), [("warm", 7.0), ("cold", 0.0)])
def test_the_address_of_a_warm_service_that_fails_takes_the_clients_of_others_along(
    standby: Standby, neighbour: float
) -> None:
    services = {name: one.model_copy(update={"standby": standby}) for name, one in SPEC.services.items()}
    services["placement"] = services["glance-api"]
    told = prediction(PROOF, SPEC.model_copy(update={"services": services}), load_catalog())
    struck = told["process-killed:glance-api"]
    assert (struck["glance-api"], struck["placement"], struck["mariadb"]) == (7.0, neighbour, 0.0)


def test_only_known_faults_and_kinds_are_compared() -> None:
    assert set(PLAYED) <= set(FAULTS)
    assert {kind for kinds in PLAYED.values() for kind in kinds} <= set(KINDS)


def test_matrix_has_a_word_for_each_service() -> None:
    matrix = matrix_of(PROOF)
    assert matrix["services"] == ["mariadb", "keystone"]
    lines = {line["fault"]: line["words"] for line in matrix["lines"]}
    assert lines["monitor fails"] == ["kept", "restarted"]
    assert lines["node lost: a"] == ["moved", "kept"]


@pytest.mark.parametrize(("service", "answer"), [("keystone", "no"), ("glance-api", "yes")])
def test_measurement_is_compared_with_what_was_said_of_the_service_that_was_struck(
    service: str, answer: str
) -> None:
    def at(seconds: float) -> tuple[int, int]:
        return 10**18 + round(seconds * SECOND), round(seconds * SECOND)

    said = {"process-killed:keystone": {"web": 1.0}, "process-killed:glance-api": {"web": 9.0}}
    events: list[Event] = [
        Observation(*at(0), "about", {"prediction": said}),
        FaultEvent(*at(2), 1, "process-killed", "injecting", "killed", ("a",), "", service),
    ]
    for number in range(200):
        events.append(Invoked(*at(number / 20), "client", "web", number))
        good = not 2 <= number / 20 < 6
        events.append(Completed(*at(number / 20 + 0.01), "client", number, "ok" if good else "fail"))
    verdicts = {one.question: one.answer for one in judge(History.of(events)).verdicts}
    assert verdicts["as-predicted"] == answer
