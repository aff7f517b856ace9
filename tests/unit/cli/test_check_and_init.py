"""Commands that only read: what they print and how they exit."""

import json
import os
import stat
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.unit.cli.conftest import EXAMPLE, SECRETS, Understudy

from understudy.catalog.load import load_catalog
from understudy.cli import console, lab
from understudy.lab.client import LabError
from understudy.spec.model import Spec

BAD = {
    "misspelt key": ("services:", "servces:", "unknown-key"),
    "no YAML": ("services:", "services: [", "spec-not-yaml"),
    "outside its network": ("192.168.42.101", "192.168.24.101", "address-outside-network"),
    "used twice": ("192.168.42.101", "192.168.42.11", "address-used-twice"),
    "unknown release": ("release: zed", "release: zeta", "release-unknown"),
    "release without a service": ("release: zed", "release: austin", "release-unknown"),
    "unknown service": ("glance-api:", "glanze-api:", "service-unknown"),
    "unknown address": (
        "standby: cold, address: api, workers: 2",
        "address: apis",
        "service-address-unknown",
    ),
    "no fencing": ("  redfish: {user: admin, password: {file: secrets/fencing}}", "  {}", "fencing-missing"),
    "no credentials": (", password: {file: secrets/fencing}", "", "fencing-without-credentials"),
    "newer version": ("understudy: 1", "understudy: 99", "spec-version-newer"),
    "no such secret": ("secrets/fencing}", "secrets/nowhere}", "secret-unresolved"),
    "unknown option": ("workers: 1}", "workers: 1, options: {DEFAULT: {wrkers: 1}}}", "option-unknown"),
    "value of the wrong type": (
        "workers: 1}",
        "workers: 1, options: {DEFAULT: {image_size_cap: many}}}",
        "option-wrong-type",
    ),
}


@pytest.mark.parametrize("command", ["check", "plan", "apply", "status", "secrets"])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_with_its_place_and_exits_with_2(
    understudy: Understudy, spec: Path, command: str, name: str
) -> None:
    before, after, code = BAD[name]
    if command == "secrets" and code in {"secret-unresolved", "option-unknown", "option-wrong-type"}:
        pytest.skip("this command is about secrets")
    text = spec.read_text()
    assert before in text
    spec.write_text(text.replace(before, after))
    told = understudy(command, spec)
    assert told.status == 2
    assert code in told.err
    assert f"{spec}:" in told.err
    assert "Nothing was touched." in told.err
    assert told.out == ""
    data = understudy(command, spec, "--json")
    assert (data.status, data.err) == (2, "")
    finding = next(each for each in data.document["findings"] if each["code"] == code)
    assert finding["severity"] == "error"
    assert not (spec.parent / "state").exists()


def test_all_findings_come_at_once_in_the_order_of_the_file(understudy: Understudy, spec: Path) -> None:
    for before, after, code in BAD.values():
        if code in {
            "release-unknown",
            "address-outside-network",
            "service-address-unknown",
            "secret-unresolved",
        }:
            spec.write_text(spec.read_text().replace(before, after))
    told = understudy("check", spec)
    places = [int(line.split(":")[1]) for line in told.err.splitlines() if line.startswith(str(spec))]
    assert len(places) >= 4
    assert places == sorted(places)


@pytest.mark.parametrize("also", ["unknown address", "no credentials", "used twice"])
@pytest.mark.parametrize("option", ["unknown option", "value of the wrong type"])
def test_wrong_options_are_told_whatever_else_is_wrong(
    understudy: Understudy, spec: Path, also: str, option: str
) -> None:
    for before, after, _ in (BAD[also], BAD[option]):
        spec.write_text(spec.read_text().replace(before, after))
    told = understudy("check", spec)
    assert BAD[also][2] in told.err
    assert BAD[option][2] in told.err


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "spec-empty"),
        (b"\xff\xfe\x00", "spec-not-yaml"),
        (b"- 1", "spec-no-mapping"),
        (b"a: &a [*a]", None),
    ],
)
def test_files_that_are_no_spec(
    understudy: Understudy, tmp_path: Path, content: bytes, code: str | None
) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_bytes(content)
    done = understudy("check", file, "--json")
    assert done.status == 2
    assert code is None or code in done.codes


@pytest.mark.parametrize("command", ["check", "plan", "apply", "status", "secrets"])
def test_a_file_that_is_not_there(understudy: Understudy, tmp_path: Path, command: str) -> None:
    done = understudy(command, tmp_path / "nowhere.yaml", "--json")
    assert (done.status, done.codes) == (2, ["spec-unreadable"])


def test_a_folder_is_no_spec(understudy: Understudy, tmp_path: Path) -> None:
    assert understudy("check", tmp_path, "--json").codes == ["spec-unreadable"]


def test_a_good_spec(understudy: Understudy, spec: Path) -> None:
    done = understudy("check", spec)
    assert (done.status, done.err) == (0, "")
    assert "no errors; 3 nodes, 3 services" in done.out
    assert understudy("check", spec, "--json").document == {"findings": []}


def test_a_warning_is_shown_and_no_failure(understudy: Understudy, spec: Path) -> None:
    (spec.parent / "secrets" / "fencing").chmod(0o644)
    done = understudy("check", spec)
    assert done.status == 0
    assert "secret-readable-by-others" in done.err
    assert "1 warning" in done.out
    assert understudy("check", spec, "--json").codes == ["secret-readable-by-others"]


def test_no_secrets_are_needed_where_there_are_none(understudy: Understudy, spec: Path) -> None:
    for name in SECRETS:
        (spec.parent / "secrets" / name).unlink()
    assert understudy("check", spec).status == 2
    assert understudy("check", spec, "--no-secrets").status == 0


@pytest.mark.parametrize(
    "words", [("chek",), ("check",), ("check", "x", "--jsn"), ("plan", "x", "--save"), ("lab", "upp", "x")]
)
def test_wrong_words_exit_with_2(understudy: Understudy, words: tuple[str, ...]) -> None:
    assert understudy(*words).status == 2


@pytest.mark.parametrize("words", [("--help",), ("check", "--help"), ("lab", "--help"), ("--version",)])
def test_help_is_no_failure(understudy: Understudy, words: tuple[str, ...]) -> None:
    done = understudy(*words)
    assert done.status == 0
    assert done.out


def test_what_init_writes_is_a_good_spec_once_it_has_secrets(understudy: Understudy, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    assert understudy("init", file).status == 0
    assert understudy("check", file, "--no-secrets").status == 0
    assert understudy("check", file, "--json").codes == ["secret-unresolved"] * len(SECRETS)
    assert understudy("secrets", file, "--generate").status == 0
    assert understudy("check", file, "--json").document == {"findings": []}


def test_init_never_overwrites(understudy: Understudy, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    done = understudy("init", file)
    assert done.status == 2
    assert "file-exists" in done.err
    assert file.read_text() == "mine"
    assert "file-unwritable" in understudy("init", tmp_path / "no" / "folder.yaml").err


def test_generated_secrets_are_for_their_owner_only(understudy: Understudy, spec: Path) -> None:
    folder = spec.parent / "secrets"
    kept = (folder / "fencing").read_text()
    for name in SECRETS[1:]:
        (folder / name).unlink()
    missing = understudy("secrets", spec, "--json")
    assert missing.status == 1
    assert missing.codes == ["secret-unresolved"] * 4
    before = os.umask(0)
    try:
        done = understudy("secrets", spec, "--generate", "--json")
    finally:
        os.umask(before)
    assert done.status == 0
    assert sorted(done.document["made"]) == sorted(SECRETS[1:])
    assert (folder / "fencing").read_text() == kept
    values = {(folder / name).read_text() for name in SECRETS}
    assert len(values) == len(SECRETS)
    for name in SECRETS[1:]:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
        assert len((folder / name).read_text().strip()) >= 32
        assert (folder / name).read_text().strip() not in done.out
    assert understudy("secrets", spec, "--generate", "--json").document["made"] == []


def test_a_made_folder_of_secrets_is_for_its_owner_only(understudy: Understudy, tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    understudy("init", file)
    understudy("secrets", file, "--generate")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_secrets_in_the_environment_are_not_made_as_files(
    understudy: Understudy, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec.write_text(
        spec.read_text().replace(
            "{directory: secrets}", "{directory: secrets, identity-admin: {environment: OS_PW}}"
        )
    )
    assert "missing  identity-admin" in understudy("secrets", spec, "--generate").out
    monkeypatch.setenv("OS_PW", "s3cret-value")
    done = understudy("secrets", spec)
    assert done.status == 0
    assert "s3cret-value" not in done.out


def test_the_catalog_names_every_service(understudy: Understudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.out, "_width", 300)
    names = [entry["name"] for entry in understudy("catalog", "--json").document]
    assert names == list(load_catalog().services)
    table = understudy("catalog")
    assert table.status == 0
    assert all(name in table.out for name in names)


def test_the_schema_takes_the_example_and_refuses_a_misspelt_key(
    understudy: Understudy, tmp_path: Path
) -> None:
    schema = understudy("schema").document
    target = tmp_path / "schema.json"
    assert understudy("schema", "--to", target).status == 0
    assert json.loads(target.read_text()) == schema
    assert set(schema["properties"]) == set(Spec.model_fields)
    assert schema["additionalProperties"] is False
    jsonschema = pytest.importorskip("jsonschema")
    document = YAML(typ="safe").load(EXAMPLE.read_text())
    jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "servces": {}}, schema)


def test_a_rendered_spec_goes_into_an_empty_folder_only(
    understudy: Understudy, spec: Path, tmp_path: Path
) -> None:
    target = tmp_path / "rendered"
    assert understudy("render", spec, "--to", target).status == 0
    files = {
        path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()
    }
    assert {"cluster/cib.xml", "cluster/corosync.conf", "cluster/configuration.crm"} <= set(files)
    assert not any(f"secret-{name}" in text for name in SECRETS for text in files.values())
    again = understudy("render", spec, "--to", target)
    assert (again.status, "folder-not-empty" in again.err) == (2, True)


def test_a_proof_needs_one_thing_to_prove(understudy: Understudy, tmp_path: Path) -> None:
    nothing = understudy("prove", "--json")
    assert (nothing.status, nothing.codes) == (2, ["prove-what"])
    missing = understudy("prove", "--cib", tmp_path / "nowhere.xml", "--json")
    assert (missing.status, missing.codes) == (2, ["file-unreadable"])


@pytest.mark.skipif(os.geteuid() != 0, reason="a lab is root's")
def test_a_lab_that_is_down_takes_no_orders(understudy: Understudy, spec: Path) -> None:
    for words in (
        ("crash", spec, "controller-1"),
        ("boot", spec, "controller-1"),
        ("shell", spec, "controller-1"),
        ("tenant", spec),
    ):
        done = understudy("lab", *words)
        assert (done.status, "lab-down" in done.err) == (1, True)


def test_an_order_that_the_lab_refuses_is_told(
    understudy: Understudy, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def crash(self, node: str) -> None:
            raise LabError(f"no node {node}")

    monkeypatch.setattr(lab, "lab_of", lambda _: Refusing())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    done = understudy("lab", "crash", spec, "controller-9")
    assert done.status == 1
    assert "lab-refused" in done.err
    assert "no node controller-9" in done.err


def test_labs_are_roots(understudy: Understudy, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for word in ("up", "down", "status"):
        done = understudy("lab", word, spec)
        assert (done.status, "lab-not-root" in done.err) == (1, True)


def test_live_nodes_that_do_not_answer(understudy: Understudy, spec: Path) -> None:
    # Port 1 of this machine: nothing listens there.
    text = spec.read_text().replace("cloud: unit-test", "cloud: unit-test\nssh: {user: root, port: 1}")
    for network in ("192.168.42.", "203.0.113.", "192.168.43."):
        text = text.replace(network, f"127.{network.split('.')[2]}.0.")
    spec.write_text(text)
    for command in ("plan", "apply", "status"):
        done = understudy(command, spec, "--live", "--json")
        assert (done.status, done.codes) == (1, ["host-unreachable"] * 3)
