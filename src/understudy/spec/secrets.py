"""Resolving references to secrets: the only place that reads them (effects)."""

import os
import stat
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from understudy.findings import Finding, Place
from understudy.secret import Secret
from understudy.spec import tls
from understudy.spec.load import LoadedSpec
from understudy.spec.model import SecretReference

COMMAND_LIMIT_SECONDS = 30


def reference_for(loaded: LoadedSpec, name: str) -> tuple[SecretReference, Place]:
    """Return where the secret called ``name`` is, and where the spec says so."""
    named = loaded.spec.secrets.__pydantic_extra__
    if name in named:
        return named[name], loaded.places.value("secrets", name)
    for written, reference, path in tls.references(loaded.spec):
        if written == name:
            return reference, loaded.places.value(*path)
    place = (
        loaded.places.key("secrets", "directory")
        if "secrets" in loaded.spec.model_fields_set
        else loaded.places.key("services")
    )
    return SecretReference(file=f"{loaded.spec.secrets.directory}/{name}"), place


def references(loaded: LoadedSpec, names: Iterable[str]) -> dict[str, tuple[SecretReference, Place]]:
    """Return where each secret is, the fencing device's password included."""
    return {name: reference_for(loaded, name) for name in names} | _fencing_reference(loaded)


def resolve_all(loaded: LoadedSpec, names: Iterable[str]) -> tuple[dict[str, Secret], list[Finding]]:
    """Resolve every secret; return those that resolve and a finding for each that does not."""
    resolved: dict[str, Secret] = {}
    findings: list[Finding] = []
    for name, (reference, place) in references(loaded, names).items():
        outcome = resolve(reference, loaded.folder, os.environ)
        if isinstance(outcome, Secret):
            resolved[name] = outcome
            findings += _loose_permissions(reference, loaded.folder, place) if tls.is_secret(name) else ()
        else:
            findings.append(
                Finding("secret-unresolved", values={"name": name, "reason": outcome}, place=place)
            )
    return resolved, findings


def _fencing_reference(loaded: LoadedSpec) -> dict[str, tuple[SecretReference, Place]]:
    fencing = loaded.spec.fencing
    for name in ("redfish", "ipmi"):
        device = getattr(fencing, name, None)
        if device is not None and device.password is not None:
            return {"fencing": (device.password, loaded.places.value("fencing", name, "password"))}
    return {}


def resolve(reference: SecretReference, folder: Path, environment: Mapping[str, str]) -> Secret | str:
    """Return the secret, or the reason why there is none."""
    if reference.environment is not None:
        value = environment.get(reference.environment)
        return Secret(value) if value else f"the environment variable {reference.environment} is not set"
    if reference.command is not None:
        return _from_command(reference.command, folder)
    path = folder / (reference.file or "")
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        return f"{reference.file}: {error.strerror}"
    except UnicodeDecodeError:
        return f"{reference.file}: not text"
    return Secret(text) if text else f"{reference.file}: empty"


def _from_command(argv: tuple[str, ...], folder: Path) -> Secret | str:
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_LIMIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{argv[0]}: {error}"
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return f"{argv[0]} exited with {done.returncode}: {lines[-1] if lines else 'no message'}"
    text = done.stdout.decode(errors="replace").rstrip("\r\n")
    return Secret(text) if text else f"{argv[0]} printed nothing"


def _loose_permissions(reference: SecretReference, folder: Path, place: Place) -> list[Finding]:
    if reference.file is None:
        return []
    path = folder / reference.file
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [Finding("secret-readable-by-others", "warning", values={"file": reference.file}, place=place)]
    return []
