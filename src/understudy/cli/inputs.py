"""Loading what commands work on: spec, catalog, release, secrets, design; all findings are collected first."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from understudy.catalog.load import load_catalog
from understudy.catalog.model import Catalog
from understudy.catalog.releases import Release, release_named
from understudy.design.check import check_against_catalog
from understudy.design.consistency import check_consistency
from understudy.design.context import Cloud
from understudy.design.make import Design, make_design, required_secrets
from understudy.design.options import check_options, check_written_options
from understudy.findings import Finding, FindingsError, count
from understudy.secret import Secret
from understudy.spec.certificates import EXPIRED, check_certificates
from understudy.spec.check import check_spec
from understudy.spec.load import LoadedSpec, UnusableSpecError, load_spec
from understudy.spec.secrets import resolve_all


@dataclass(frozen=True)
class Input:
    """A spec that may be used, with everything that belongs to it; ``warnings`` are worth showing."""

    path: Path
    loaded: LoadedSpec
    catalog: Catalog
    release: Release
    secrets: dict[str, Secret]
    warnings: tuple[Finding, ...]

    def cloud(self) -> Cloud:
        """Return all inputs of the design."""
        return Cloud(self.loaded.spec, self.catalog, self.release, self.secret())

    def design(self) -> Design:
        """Return the design of the spec."""
        return make_design(self.loaded.spec, self.catalog, self.release, self.secret())

    def secret(self) -> Callable[[str], Secret]:
        """Return the way to a secret by its name."""
        return self.secrets.__getitem__


def read_input(path: Path, *, with_secrets: bool = True, only_shows: bool = False) -> Input:
    """Load and check a spec.

    Raises FindingsError (exit status 2) with everything that is wrong, secrets that resolve to nothing included;
    without secrets, each is a stand-in. To a command that only shows, an expired certificate is a warning.
    """
    catalog = load_catalog()
    try:
        loaded = load_spec(path)
    except UnusableSpecError as error:
        raise FindingsError(_sorted(_all_that_shows(error, catalog))) from error
    findings = [*check_spec(loaded), *check_against_catalog(loaded, catalog)]
    if count(findings, "error"):
        _refuse(findings, loaded, catalog, with_secrets=with_secrets)
    release = release_named(loaded.spec.release)
    names = required_secrets(loaded.spec, catalog, release)
    if with_secrets:
        secrets, unresolved = resolve_all(loaded, names)
        findings += unresolved
        wrong = check_certificates(loaded, secrets, datetime.now(UTC))
        findings += [_as_warning(one) if only_shows and one.code == EXPIRED else one for one in wrong]
    else:
        secrets = {name: Secret(f"<{name}>") for name in (*names, "fencing")}
    findings += check_options(loaded, catalog, release)
    findings += check_consistency(loaded, catalog, release)
    if count(findings, "error"):
        raise FindingsError(_sorted(findings))
    return Input(path, loaded, catalog, release, secrets, tuple(_sorted(findings)))


def _as_warning(finding: Finding) -> Finding:
    return replace(finding, severity="warning")


def _all_that_shows(error: UnusableSpecError, catalog: Catalog) -> list[Finding]:
    """Return the findings of a spec that does not fit the model, and those of what is left of it at other places."""
    findings = list(error.findings)
    if error.rest is not None:
        known = {finding.place for finding in findings}
        more = [
            *check_spec(error.rest),
            *check_against_catalog(error.rest, catalog),
            *check_written_options(error.rest, catalog),
        ]
        findings += [finding for finding in more if finding.place not in known]
    return findings


def _refuse(findings: list[Finding], loaded: LoadedSpec, catalog: Catalog, *, with_secrets: bool) -> None:
    """Add what can be said of options and secrets although the spec cannot be used, then raise."""
    findings += check_written_options(loaded, catalog)
    if with_secrets:
        try:
            names = required_secrets(loaded.spec, catalog, release_named(loaded.spec.release))
        except (LookupError, ValueError, AttributeError, IndexError):
            names = ()  # the findings say already why there is no design
        findings += resolve_all(loaded, names)[1]
    raise FindingsError(_sorted(findings))


def _sorted(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (finding.place is None, finding.place or finding.subject))
