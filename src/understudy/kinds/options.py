"""Kind options: options in a file that an operator also edits; every byte that is not ours stays."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from understudy.design.items import Item, Options, OptionValue
from understudy.findings import Finding, FindingsError
from understudy.formats.oslo_ini import OptionFile, literal
from understudy.kinds.common import expect, items_of
from understudy.kinds.file import look, version_before
from understudy.kinds.model import Change, Difference, World
from understudy.secret import MASK, Secret

_SENSITIVE = re.compile(
    r"password|passwd|secret|token|connection|transport_url|credential|.*_key$", re.IGNORECASE
)
"""Names of options whose value of before is not shown, whatever ours is: an operator may have a password there."""


class OptionsKind:
    """Options of oslo.config's and MariaDB's option files; an existing file keeps its owner and mode."""

    name = Options.kind

    async def observe(self, world: World, items: Sequence[Item]) -> Mapping[str, object]:
        """Return what each file is now."""
        return await look(world, items_of(items, Options))

    def compare(self, item: Item, observed: object) -> Change | None:
        """Return the options whose value is another one.

        Raises FindingsError (``ini-syntax``) when the program that owns the file could not read it either.
        """
        item = expect(item, Options)
        file = _parsed(item, observed)
        differences = tuple(
            _difference(item, option, file) for option in item.options if not _is_true(item, option, file)
        )
        return Change(item, differences, observed) if differences else None

    async def apply(self, world: World, change: Change) -> None:
        """Edit the file as it was seen and replace it in one step."""
        item = expect(change.item, Options)
        seen = cast("Mapping[str, Any]", change.observed)
        await world.node(item.node).ask(
            "write-file",
            path=item.path,
            content=edited(item, seen),
            owner=item.owner,
            group=item.group,
            mode=item.mode,
            keep=True,
            expected=seen["_digest"],
        )

    def invert(self, change: Change) -> Change | None:
        """Return the bringing back of the version before."""
        item = expect(change.item, Options)
        return version_before(change, item.node, item.path)


def edited(item: Options, observed: object) -> str:
    """Return the file's text with the options as they must be (pure).

    Raises FindingsError (``option-not-writable``) for a value that the file's language cannot hold.
    """
    file = _parsed(item, observed)
    for option in item.options:
        wanted = _wanted(item, option)
        if _is_true(item, option, file):
            continue
        if wanted is None:
            file.remove(option.group, option.name)
            continue
        try:
            file.set(option.group, option.name, wanted)
        except ValueError as error:
            reason = "its value is secret" if isinstance(option.value, Secret) else str(error)
            values = {"option": f"[{option.group}] {option.name}", "path": item.path, "reason": reason}
            finding = Finding("option-not-writable", values={**values, "node": item.node}, subject=item.node)
            raise FindingsError([finding], exit_status=1) from None
    return file.text


def _parsed(item: Options, observed: object) -> OptionFile:
    seen = cast("Mapping[str, Any]", observed)
    return OptionFile(seen["_content"] if seen["exists"] else "", item.dialect, f"{item.node}:{item.path}")


def _wanted(item: Options, option: OptionValue) -> str | None:
    """Return the value as it is written; in a secret, ``$`` is no reference to another option."""
    if isinstance(option.value, Secret):
        return literal(option.value.reveal()) if item.dialect == "oslo" else option.value.reveal()
    return option.value


def _is_true(item: Options, option: OptionValue, file: OptionFile) -> bool:
    wanted = _wanted(item, option)
    return file.get_all(option.group, option.name) == (() if wanted is None else (wanted,))


def _difference(item: Options, option: OptionValue, file: OptionFile) -> Difference:
    """Return before and after; several values of a repeated option stand behind each other, as they count."""
    values = file.get_all(option.group, option.name)
    before = ", ".join(values) if values else None
    after = _wanted(item, option)
    secret = isinstance(option.value, Secret)
    if before is not None and (secret or _SENSITIVE.search(option.name)):
        before = MASK
    return Difference(
        f"[{option.group}] {option.name}", before, MASK if secret else after, option.reason, secret=secret
    )
