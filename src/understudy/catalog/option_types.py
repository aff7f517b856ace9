"""Does a value fit an option's type? The rules are those of oslo.config's types, on the text of a value."""

import re
from collections.abc import Callable, Mapping
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from types import MappingProxyType
from urllib.parse import urlsplit

from understudy.catalog.option_data import Option

TRUE = frozenset({"true", "1", "on", "yes"})
FALSE = frozenset({"false", "0", "off", "no"})
HOST_LABEL = re.compile(r"(?!-)[A-Z0-9-]{1,63}(?<!-)$", re.IGNORECASE)
DOMAIN_LABEL = re.compile(r"(?!-)[A-Z0-9_-]{1,63}(?<!-)$", re.IGNORECASE)
REFERENCE = re.compile(r"(?<![$\\])(?:\$\$)*\$(?:\w|\{)")
"""``$name`` or ``${name}``: the value of another option, known only to the service."""
HIGHEST_PORT = 65535
LONGEST_HOST_NAME = 253


def fits(option: Option, value: str) -> bool:
    """Return whether oslo.config would take the value; always for a value that refers to other options."""
    if REFERENCE.search(value):
        return True
    check = _CHECKS.get(option.type)
    return check is None or check(option, value)


def fits_but_for_case(option: Option, value: str) -> bool:
    """Return whether the value is a choice in other letter case: some options do not mind, the data hides which."""
    return value.lower() in {choice.lower() for choice in option.choices}


def expected(option: Option) -> str:
    """Return a few words for what the option takes, such as ``integer, 1 to 65535``."""
    if option.choices:
        return f"one of {', '.join(option.choices)}"
    if option.type == "boolean":
        return "true or false"
    low, high = _bounds(option)
    limits = {
        (True, True): f", {low} to {high}",
        (True, False): f", at least {low}",
        (False, True): f", at most {high}",
    }
    return option.type + limits.get((low is not None, high is not None), "")


def _bounds(option: Option) -> tuple[float | None, float | None]:
    if option.type == "port":
        return (0 if option.minimum is None else option.minimum), (option.maximum or HIGHEST_PORT)
    return option.minimum, option.maximum


def _is_string(option: Option, value: str) -> bool:
    return not option.choices or value in option.choices


def _is_number(option: Option, value: str, kind: type[int] | type[float]) -> bool:
    if not value.strip():
        return True
    try:
        number = kind(value)
    except ValueError:
        return False
    if option.choices:
        return any(number == float(choice) for choice in option.choices)
    low, high = _bounds(option)
    return not ((low is not None and number < low) or (high is not None and number > high))


def _is_boolean(_option: Option, value: str) -> bool:
    return value.lower() in TRUE | FALSE


def _is_dict(_option: Option, value: str) -> bool:
    keys: set[str] = set()
    pending: list[str] = []
    for part in value.strip().split(",") if value.strip() else []:
        pending.append(part)  # a comma may be part of a key
        key, colon, _rest = ",".join(pending).partition(":")
        if colon:
            if not key.strip() or key.strip() in keys:
                return False
            keys.add(key.strip())
            pending.clear()
    return not pending


def _is_address(_option: Option, value: str) -> bool:
    for kind in (IPv4Address, IPv6Address):
        try:
            kind(value)
        except AddressValueError:
            continue
        return "%" not in value
    return False


def _is_name(value: str, label: re.Pattern[str]) -> bool:
    labels = value.removesuffix(".").split(".")
    return (
        0 < len(value) <= LONGEST_HOST_NAME
        and re.search("[a-zA-Z-]", labels[-1]) is not None
        and all(label.match(part) for part in labels)
    )


def _is_uri(_option: Option, value: str) -> bool:
    try:
        parts = urlsplit(value)
        return bool(parts.scheme and parts.hostname) and (parts.port is None or parts.port <= HIGHEST_PORT)
    except ValueError:
        return False


_CHECKS: Mapping[str, Callable[[Option, str], bool]] = MappingProxyType(
    {
        "string": _is_string,
        "integer": lambda option, value: _is_number(option, value, int),
        "port": lambda option, value: _is_number(option, value, int),
        "floating point": lambda option, value: _is_number(option, value, float),
        "boolean": _is_boolean,
        "dict": _is_dict,
        "IP address": _is_address,
        "hostname": lambda _option, value: _is_name(value, HOST_LABEL),
        "host address": lambda option, value: _is_address(option, value) or _is_name(value, HOST_LABEL),
        "host domain": lambda option, value: _is_address(option, value) or _is_name(value, DOMAIN_LABEL),
        "uri": _is_uri,
    }
)
"""By type; a type that is not here takes any text (lists, whose items' type the generator does not say, and others)."""
