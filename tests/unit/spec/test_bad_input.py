"""Every kind of bad spec gives its code at its place; all findings of one spec come at once."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from understudy.catalog.load import load_catalog
from understudy.design.check import check_against_catalog
from understudy.findings import Finding, FindingsError, advice_for, message_for
from understudy.spec.check import check_spec
from understudy.spec.load import load_spec, parse_spec
from understudy.spec.secrets import resolve_all

HERE = Path(__file__).parent
GOOD = (HERE / "good.yaml").read_text(encoding="utf-8")
CASES = YAML(typ="safe").load((HERE / "bad.yaml").read_text(encoding="utf-8"))


def findings_of(text: str, folder: Path) -> list[Finding]:
    try:
        loaded = parse_spec(text, "cloud.yaml", folder)
    except FindingsError as error:
        return list(error.findings)
    findings = [*check_spec(loaded), *check_against_catalog(loaded, load_catalog())]
    return findings + resolve_all(loaded, ["identity-admin"])[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("fencing", "identity-admin"):
        (secrets / name).write_text("a secret\n")
        (secrets / name).chmod(0o600)
    return tmp_path


def test_the_good_spec_has_no_finding(folder: Path) -> None:
    assert findings_of(GOOD, folder) == []


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_bad_spec(case: dict[str, str], folder: Path) -> None:
    if "replace" in case:
        assert GOOD.count(case["replace"]) == 1, "the fixture must change exactly one place"
        text = GOOD.replace(case["replace"], case["by"])
    else:
        text = case["text"]
    found = findings_of(text, folder)
    assert case["code"] in [finding.code for finding in found]
    finding = next(one for one in found if one.code == case["code"])
    assert finding.place is not None
    assert message_for(finding)
    if "at" in case:
        line, column = (int(part) for part in str(case["at"]).split(":"))
        assert (finding.place.line, finding.place.column) == (line, column)
    if "says" in case:
        assert case["says"] in f"{message_for(finding)} {advice_for(finding)}"


def test_all_findings_come_at_once(folder: Path) -> None:
    text = GOOD.replace("release: zed", "release: zedd").replace("192.168.42.103", "192.168.24.103")
    codes = {finding.code for finding in findings_of(text, folder)}
    assert {"release-unknown", "address-outside-network"} <= codes


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FindingsError) as caught:
        load_spec(Path("/nowhere/cloud.yaml"))
    assert [finding.code for finding in caught.value.findings] == ["spec-unreadable"]
    assert caught.value.exit_status == 2


def test_secrets_resolve_by_file_environment_and_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_TEST_SECRET", "from the environment")
    text = GOOD.replace(
        "secrets: {directory: secrets}",
        "secrets: {directory: secrets, one: {environment: UNDERSTUDY_TEST_SECRET}, two: {command: [echo, spoken]}}",
    )
    resolved, findings = resolve_all(parse_spec(text, "cloud.yaml", folder), ["one", "two", "identity-admin"])
    assert findings == []
    assert resolved["one"].reveal() == "from the environment"
    assert resolved["two"].reveal() == "spoken"
    assert resolved["identity-admin"].reveal() == "a secret"


def test_a_secret_that_others_can_read_is_a_warning(folder: Path) -> None:
    (folder / "secrets" / "fencing").chmod(0o644)
    _, findings = resolve_all(parse_spec(GOOD, "cloud.yaml", folder), [])
    assert [(finding.code, finding.severity) for finding in findings] == [
        ("secret-readable-by-others", "warning")
    ]
