"""understudy secrets: which secrets a spec needs, and making those that are missing."""

import os
import secrets as random_source
from pathlib import Path

from understudy.catalog.load import load_catalog
from understudy.catalog.releases import release_named
from understudy.cli.authority import make_certificates
from understudy.cli.console import FAILED, findings_json, out, print_json
from understudy.design.check import check_against_catalog
from understudy.design.make import required_secrets
from understudy.findings import FindingsError, count
from understudy.spec.check import check_spec
from understudy.spec.load import LoadedSpec, load_spec
from understudy.spec.secrets import references, resolve_all
from understudy.spec.tls import is_certificate

SECRET_BYTES = 24


def secrets(spec: Path, /, *, generate: bool = False, renew: bool = False, json: bool = False) -> int:
    """Say which secrets a spec needs and whether each resolves; values are never shown.

    Parameters
    ----------
    spec
        The spec's file.
    generate
        Make the files that are missing, with random values, readable by you only; certificates with ``internal_ca``.
    renew
        Make all certificates of ``internal_ca`` anew; the authority stays.
    json
        Print JSON.
    """
    loaded = load_spec(spec)
    findings = [*check_spec(loaded), *check_against_catalog(loaded, load_catalog())]
    if count(findings, "error"):
        raise FindingsError(findings)
    names = required_secrets(loaded.spec, load_catalog(), release_named(loaded.spec.release))
    made = make_missing(loaded, names, renew=renew) if generate or renew else []
    resolved, missing = resolve_all(loaded, names)
    if json:
        print_json({"resolved": sorted(resolved), "made": made, "findings": findings_json(missing)})
        return FAILED if count(missing, "error") else 0
    for name in references(loaded, names):
        state = "made" if name in made else "there" if name in resolved else "missing"
        out.print(f"{state:8} {name}")
    return FAILED if count(missing, "error") else 0


def make_missing(loaded: LoadedSpec, names: tuple[str, ...], *, renew: bool = False) -> list[str]:
    """Make the secret files that are missing, with random values, and certificates; return their names.

    A certificate of another authority than that of ``internal_ca`` is not made.
    """
    tls = loaded.spec.tls
    made = make_certificates(loaded, renew=renew) if tls and tls.internal_ca else []
    for name, (reference, _) in references(loaded, names).items():
        if reference.file is None or is_certificate(name):
            continue
        path = loaded.folder / reference.file
        if path.exists():
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=_private) as stream:
            stream.write(random_source.token_urlsafe(SECRET_BYTES) + "\n")
        made.append(name)
    return made


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
