"""Checking every option that would be written against what the release knows (pure)."""

from collections.abc import Iterator

from understudy.catalog.model import Catalog
from understudy.catalog.options import Setting, option_set
from understudy.catalog.releases import Release, UnknownReleaseError, release_named
from understudy.design.context import Cloud, ServiceContext
from understudy.design.nodes import option_items, text_of
from understudy.findings import Finding
from understudy.secret import Secret
from understudy.spec.load import LoadedSpec


def check_options(loaded: LoadedSpec, catalog: Catalog, release: Release) -> list[Finding]:
    """Return each option that the release does not know, or that it knows with another type of value.

    Secrets are stood in for: no option has a type that a password could miss.
    """
    cloud = Cloud(loaded.spec, catalog, release, lambda _: Secret("stand-in"))
    findings: list[Finding] = []
    for name in loaded.spec.services:
        findings += _check_service(loaded, cloud, name)
    return findings


def check_written_options(loaded: LoadedSpec, catalog: Catalog) -> list[Finding]:
    """Return what is wrong with the options that the operator wrote, of a spec that has no design for other reasons."""
    try:
        release = release_named(loaded.spec.release)
    except UnknownReleaseError:
        return []
    cloud = Cloud(loaded.spec, catalog, release, lambda _: Secret("stand-in"))
    findings: list[Finding] = []
    for name, service in loaded.spec.services.items():
        entry = catalog.services.get(name)
        file = next(iter(cloud.select(entry.files)), None) if entry else None
        if file is None or not file.options_of:
            continue
        settings = [
            Setting(
                group,
                option,
                text_of(value),
                loaded.places.value("services", name, "options", group, option),
            )
            for group, options in service.options.items()
            for option, value in options.items()
        ]
        findings += option_set(release, file.options_of).check_all(settings, subject=f"{name} {file.path}")
    return findings


def _check_service(loaded: LoadedSpec, cloud: Cloud, name: str) -> Iterator[Finding]:
    context = ServiceContext(cloud, name, next(iter(cloud.spec.nodes)))
    files = cloud.select(context.entry.files)
    for file, item in zip(files, option_items(context), strict=True):
        if not file.options_of:
            continue
        settings = []
        for option in item.options:
            if option.value is None:
                continue
            value = option.value.reveal() if isinstance(option.value, Secret) else option.value
            written = context.service.options.get(option.group, {})
            path = ("services", name, "options", option.group, option.name)
            place = loaded.places.value(*path) if option.name in written else None
            settings.append(Setting(option.group, option.name, value, place))
        findings = option_set(cloud.release, file.options_of).check_all(
            settings, subject=f"{name} {file.path}"
        )
        # A note about an option that the catalog itself sets is not the operator's business.
        yield from (finding for finding in findings if finding.place or finding.severity != "note")
