"""A CIB taken in from anywhere: what is wrong with it is said before anything is scheduled."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from understudy.findings.model import Finding, Place, Severity
from understudy.proof.configuration import line_of

SCHEMAS = Path("/usr/share/pacemaker")
FEATURE_SET = (3, 16, 1)
LARGEST = 64 << 20
SECTIONS = ("crm_config", "nodes", "resources", "constraints")


@dataclass
class Source:
    """A CIB that was read; ``root`` is None where nothing could be made of it."""

    root: etree._Element | None = None
    findings: list[Finding] = field(default_factory=list)
    playable: bool = False
    old: bool = False


def load_cib(text: bytes, name: str, schemas: Path = SCHEMAS) -> Source:
    """Read a CIB; every problem is a finding, none an exception."""
    source = Source()
    if len(text) > LARGEST:
        source.findings.append(
            Finding("cib-too-large", values={"megabytes": len(text) >> 20}, place=Place(name))
        )
        return source
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line, column = getattr(error, "position", (0, 0))
        values = {"reason": str(error) or "it is empty"}
        source.findings.append(
            Finding("cib-not-xml", values=values, place=Place(name, max(line, 0), max(column, 0)))
        )
        return source
    if root.getroottree().docinfo.internalDTD is not None:
        source.findings.append(Finding("cib-with-entities", place=Place(name, 1, 1)))
        return source
    found = root if root.tag == "cib" else root.find(".//cib")
    if found is None or not isinstance(found.tag, str):
        values = {"element": str(root.tag)}
        source.findings.append(Finding("cib-wrong-root", values=values, place=Place(name, 1, 1)))
        return source
    source.root = root = etree.fromstring(etree.tostring(found)) if found is not root else root
    _check(source, root, name, schemas)
    return source


def _check(source: Source, root: etree._Element, name: str, schemas: Path) -> None:
    source.playable = True
    if root.find("configuration") is None:
        source.findings.append(Finding("cib-without-configuration", place=Place(name, 1)))
        source.playable = False
        return
    for section in root.iterfind("configuration/*"):
        if section.tag == "nodes" and section.find("node") is not None:
            break
    else:
        source.findings.append(Finding("cib-without-nodes", place=Place(name)))
        source.playable = False
    _feature_set(source, root, name)
    _schema(source, root, name, schemas)


def _feature_set(source: Source, root: etree._Element, name: str) -> None:
    written = root.get("crm_feature_set", "")
    numbers = tuple(int(part) for part in re.findall(r"\d{1,6}", written))
    if numbers > FEATURE_SET:
        own = ".".join(str(part) for part in FEATURE_SET)
        values = {"feature_set": written, "own": own}
        source.findings.append(
            Finding("cib-newer-feature-set", "warning", values, Place(name, line_of(root) or 1))
        )
        root.set("crm_feature_set", own)


def _schema(source: Source, root: etree._Element, name: str, schemas: Path) -> None:
    wanted = root.get("validate-with", "")
    if wanted in ("", "none"):
        # Without a schema of its own the newest one decides, but its complaints do not keep it from being played.
        version = newest(schemas)
        strict = False
    else:
        version, strict = wanted, True
    if wanted == "pacemaker-1.1":
        # Pacemaker's own tools wrote this name for a schema that was released as 1.2.
        version = "pacemaker-1.2"
        root.set("validate-with", version)
    file = schemas / f"{version}.rng"
    source.old = not version.startswith("pacemaker-3")
    if not re.fullmatch(r"[A-Za-z0-9.+_-]+", version) or not file.exists():
        if not schemas.exists():
            return
        values = {"schema": wanted, "newest": newest(schemas)}
        source.findings.append(
            Finding("cib-unknown-schema", "warning", values, Place(name, line_of(root) or 1))
        )
        file, strict = schemas / f"{newest(schemas)}.rng", False
        root.set("validate-with", newest(schemas))
        source.old = False
    try:
        schema = etree.RelaxNG(file=str(file))
    except (etree.XMLSyntaxError, etree.RelaxNGParseError, OSError) as error:
        values = {"schema": version, "reason": str(error)}
        source.findings.append(Finding("schema-unreadable", "warning", values, Place(name)))
        return
    if schema.validate(root):
        return
    severity: Severity = "error" if strict else "warning"
    for entry in list(schema.error_log)[-3:]:
        values = {"schema": file.stem, "reason": entry.message}
        source.findings.append(Finding("cib-fails-schema", severity, values, Place(name, entry.line)))
    if strict:
        source.playable = False


def newest(schemas: Path = SCHEMAS) -> str:
    """Return the name of the newest configuration schema that is installed."""
    names = (re.fullmatch(r"pacemaker-(\d+)\.(\d+)", file.stem) for file in schemas.glob("pacemaker-*.rng"))
    found = [(int(match[1]), int(match[2]), match[0]) for match in names if match]
    return max(found)[2] if found else "pacemaker-3.0"
