"""Read the option definitions of a release out of its source code, for releases that no longer install.

    option_source.py --into DIR NAMESPACE[/GROUP]=REPOSITORY@REVISION:FOLDER[,FOLDER] ...

Each argument names a folder of a git repository at a revision; the options that its modules register, or offer in
``list_opts``, are written to ``DIR/<NAMESPACE>.json`` in the form of ``oslo-config-generator --format json``, and
``DIR/index.json`` says where they come from. ``option_metadata.py pack`` makes the committed data of it. Options that
nobody is seen to register (drivers hand out theirs, to be registered elsewhere) go to GROUP if it is named.

Nothing of the source is run: names, groups and types are evaluated from the syntax tree, and what cannot be is left
out.
"""

import argparse
import ast
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

TYPES = {
    "StrOpt": "string value", "BoolOpt": "boolean value", "IntOpt": "integer value", "FloatOpt": "floating point value",
    "ListOpt": "list value", "DictOpt": "dict value", "MultiStrOpt": "multi valued", "MultiOpt": "multi valued",
    "IPOpt": "IP address value", "PortOpt": "port value", "HostnameOpt": "hostname value", "URIOpt": "uri value",
    "HostAddressOpt": "host address value", "HostDomainOpt": "host domain value", "Opt": "string value",
}  # fmt: skip
"""Class of an option to the generator's word for its type."""
TYPE_ARGUMENTS = {
    "Integer": "integer value", "int": "integer value", "Boolean": "boolean value", "bool": "boolean value",
    "Float": "floating point value", "float": "floating point value", "List": "list value", "Dict": "dict value",
    "Port": "port value", "PortType": "port value", "String": "string value", "str": "string value",
}  # fmt: skip
"""``type`` of a plain ``Opt`` to the same; any other is unknown."""
REGISTER = {"register_opt", "register_opts", "register_cli_opt", "register_cli_opts", "append_config_values"}
REGISTER_BY_TYPE = {
    f"register_{cli}{short}": kind
    for cli in ("", "cli_")
    for short, kind in {"str": "StrOpt", "bool": "BoolOpt", "int": "IntOpt", "list": "ListOpt"}.items()
}
"""Keystone's own helpers in its first releases: ``register_str('name', group='g', default=...)``."""
AUTH: list[Json] = [
    {"name": "auth_type", "deprecated_opts": [{"group": None, "name": "auth_plugin"}]},
    {"name": "auth_section"},
]
SESSION: list[Json] = [
    *({"name": name} for name in ("cafile", "certfile", "keyfile")),
    {"name": "insecure", "type": "boolean value"},
    {"name": "timeout", "type": "integer value"},
]
ADAPTER: list[Json] = [
    *({"name": name} for name in ("service_type", "service_name", "region_name", "endpoint_override")),
    {"name": "valid_interfaces", "type": "list value"},
]
HELPERS = {
    "register_auth_conf_options": AUTH,
    "register_session_conf_options": SESSION,
    "register_adapter_conf_options": ADAPTER,
    "register_ksa_opts": [*AUTH, *SESSION, *ADAPTER],
    "get_auth_common_conf_options": AUTH,
    "get_session_conf_options": SESSION,
    "get_adapter_conf_options": ADAPTER,
}
"""Helpers of keystoneauth, and the options that they define."""
PLUGINS = "keystoneauth1.plugins"
NOT_PRODUCT = {"tests", "test", "testing", "functional", "contrib", "doc"}
DEEPEST = 12
"""Names are followed this far, so that a circle ends."""


@dataclass
class Scope:
    """What names stand for in a module or a function: every value that was assigned or added."""

    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    parent: "Scope | None" = None

    def find(self, name: str) -> list[ast.expr]:
        """Return the values of a name, from the innermost scope that has it."""
        if name in self.values:
            return self.values[name]
        return self.parent.find(name) if self.parent else []


@dataclass
class Module:
    """One module with its scopes, functions and imports."""

    name: str
    tree: ast.Module
    scope: Scope = field(default_factory=Scope)
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    """Local name to the dotted name that it stands for."""

    def __post_init__(self) -> None:
        self._enter(self.tree, self.scope)

    def _enter(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            self.scopes[child] = scope
            inner = scope
            if isinstance(child, ast.FunctionDef):
                self.functions[child.name] = child
                inner = Scope(parent=scope)
            self._note(child, scope)
            self._enter(child, inner)

    def _note(self, node: ast.AST, scope: Scope) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        scope.values.setdefault(target.id, []).append(value)
            case (
                ast.AugAssign(target=ast.Name(id=name), value=value)
                | ast.For(target=ast.Name(id=name), iter=value)
            ):
                scope.values.setdefault(name, []).append(value)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend"), args=[value]
            ):
                scope.values.setdefault(name, []).append(value)
            case ast.Import(names=names):
                for alias in names:
                    self.imports[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=str(module), names=names, level=0):
                for alias in names:
                    self.imports[alias.asname or alias.name] = f"{module}.{alias.name}"


class Reader:
    """Finds the options of all modules of a source tree."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.modules = {name: Module(name, tree) for name, text in sources.items() if (tree := _parsed(text))}
        self.found: dict[str, dict[str, Json]] = {}
        self.read: dict[ast.expr, list[Json]] = {}
        """Expressions that were read already."""

    def options(self) -> dict[str, dict[str, Json]]:
        """Return group -> name -> option in the generator's form."""
        for module in self.modules.values():
            for node, scope in module.scopes.items():
                match node:
                    case ast.Call():
                        self._registered(module, scope, node)
                    case ast.Tuple(elts=[group, options]):
                        self._offered(module, scope, group, options)
                    case ast.Dict(keys=keys, values=values):
                        for key, value in zip(keys, values, strict=True):
                            if key is not None:
                                self._offered(module, scope, key, value)
        return self.found

    def every_option(self) -> list[Json]:
        """Return all options that are defined anywhere: authentication plugins hand theirs out, and register none."""
        found: dict[str, Json] = {}
        for module in self.modules.values():
            old = [k.value for k in module.scopes if isinstance(k, ast.keyword) and k.arg == "deprecated"]
            nested = {inner for value in old for inner in ast.walk(value)}
            for node, scope in module.scopes.items():
                if isinstance(node, ast.Call) and _last_name(node.func) in TYPES and node not in nested:
                    option = self._opt(module, scope, node, _last_name(node.func))
                    if option:
                        dest = option["name"].replace("-", "_")
                        found.setdefault(dest, {**option, "dest": dest, "deprecated_opts": []})
        return [found[dest] for dest in sorted(found)]

    def _registered(self, module: Module, scope: Scope, call: ast.Call) -> None:
        function = _last_name(call.func)
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if function in REGISTER and call.args:
            group = keywords.get("group", call.args[1] if len(call.args) > 1 else None)
            self._keep(self._group(module, scope, group), self._opts(module, scope, call.args[0]))
        elif function in REGISTER_BY_TYPE and call.args:
            option = self._opt(module, scope, call, REGISTER_BY_TYPE[function])
            self._keep(self._group(module, scope, keywords.get("group")), [option] if option else [])
        elif function in HELPERS and len(call.args) > 1:
            self._keep(self._group(module, scope, call.args[1]), HELPERS[function])

    def _offered(self, module: Module, scope: Scope, group: ast.expr, options: ast.expr) -> None:
        found = self._opts(module, scope, options)
        if found:
            self._keep(self._group(module, scope, group), found)

    def _keep(self, group: str | None, options: Iterable[Json]) -> None:
        if group is not None:
            for option in options:
                dest = option["name"].replace("-", "_")
                self.found.setdefault(group, {}).setdefault(
                    dest, {"type": "string value", **option, "dest": dest}
                )

    def _opts(self, module: Module, scope: Scope, node: ast.expr) -> list[Json]:
        """Return the options that an expression stands for."""
        if node not in self.read:
            self.read[node] = []  # a name that leads back to itself ends here
            self.read[node] = list(self._opts_of(module, scope, node))
        return self.read[node]

    def _opts_of(self, module: Module, scope: Scope, node: ast.expr) -> Iterator[Json]:
        parts: list[tuple[Module, Scope, ast.expr]] = []
        match node:
            case ast.Call(func=function) if _last_name(function) in TYPES:
                option = self._opt(module, scope, node, _last_name(function))
                yield from [option] if option else []
            case ast.Call(func=function) if _last_name(function) in HELPERS:
                yield from HELPERS[_last_name(function)]
            case ast.Call(func=ast.Name(id=name)) if name in module.functions:
                returns = [item for item in ast.walk(module.functions[name]) if isinstance(item, ast.Return)]
                parts = [(module, module.scopes[item], item.value) for item in returns if item.value]
            case ast.Call(args=items) | ast.List(elts=items) | ast.Tuple(elts=items):
                parts = [(module, scope, item) for item in items]
            case ast.Starred(value=value) | ast.ListComp(generators=[ast.comprehension(iter=value)]):
                parts = [(module, scope, value)]
            case ast.BinOp(left=left, right=right, op=ast.Add()):
                parts = [(module, scope, left), (module, scope, right)]
            case ast.Name() | ast.Attribute():
                parts = list(self._places(module, scope, node))
        for part in parts:
            yield from self._opts(*part)

    def _places(
        self, module: Module, scope: Scope, node: ast.expr
    ) -> Iterator[tuple[Module, Scope, ast.expr]]:
        """Give the values that a name or a dotted name stands for, each with the place to read it in."""
        if isinstance(node, ast.Name):
            for value in scope.find(node.id):
                if value is not node:
                    yield module, scope, value
        dotted = _dotted(node)
        head, _dot, rest = dotted.partition(".")
        full = f"{module.imports[head]}.{rest}".rstrip(".") if head in module.imports else ""
        home = self.modules.get(full.rpartition(".")[0]) if full else None
        if home is not None:
            name = full.rpartition(".")[2]
            for value in home.scope.values.get(name, []):
                yield home, home.scope, value
        elif isinstance(node, ast.Attribute) and not full:
            for value in module.scope.values.get(node.attr, []):
                yield module, module.scope, value

    def _group(self, module: Module, scope: Scope, node: ast.expr | None, depth: int = 0) -> str | None:
        """Return the name of a group; None if it cannot be told."""
        places: Iterable[tuple[Module, Scope, ast.expr]] = ()
        match node:
            case None | ast.Constant(value=None):
                return "DEFAULT"
            case ast.Constant(value=str(name)):
                return name
            case ast.Subscript(value=ast.Call(func=ast.Attribute(value=ast.Name(id="__name__")))):
                return module.name.rpartition(".")[2]
            case ast.Call(func=function) if _last_name(function) == "OptGroup":
                named = [keyword.value for keyword in node.keywords if keyword.arg == "name"] or node.args[:1]
                places = [(module, scope, item) for item in named]
            case ast.Attribute(value=value, attr="name"):
                places = [(module, scope, value)]
            case ast.Name() | ast.Attribute() if depth < DEEPEST:
                places = self._places(module, scope, node)
        return next((self._group(*place, depth + 1) for place in places), None)

    def _opt(self, module: Module, scope: Scope, call: ast.Call, kind: str) -> Json | None:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        name = self._literal(module, scope, keywords.get("name", call.args[0] if call.args else None))
        if not isinstance(name, str):
            return None
        plain = {
            key: self._literal(module, scope, keywords.get(key))
            for key in ("default", "secret", "mutable", "deprecated_for_removal", "min", "max", "choices")
        }
        limits = {key: plain[key] if isinstance(plain[key], (int, float)) else None for key in ("min", "max")}
        choices = plain["choices"] if isinstance(plain["choices"], (list, tuple)) else ()
        return {
            "name": name,
            "type": self._type(kind, keywords.get("type")),
            **plain,
            **limits,
            "choices": [choice if isinstance(choice, (list, tuple)) else [choice] for choice in choices],
            "deprecated_opts": list(self._old_names(module, scope, keywords)),
        }

    def _type(self, kind: str, argument: ast.expr | None) -> str:
        if kind != "Opt" or argument is None:
            return TYPES[kind]
        name = _last_name(argument.func if isinstance(argument, ast.Call) else argument)
        return TYPE_ARGUMENTS.get(name, "unknown value")

    def _old_names(self, module: Module, scope: Scope, keywords: dict[str, ast.expr]) -> Iterator[Json]:
        if {"deprecated_name", "deprecated_group"} & keywords.keys():
            yield {
                "name": self._literal(module, scope, keywords.get("deprecated_name")),
                "group": self._literal(module, scope, keywords.get("deprecated_group")),
            }
        for node in self._calls(module, scope, keywords.get("deprecated_opts")):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            name = self._literal(module, scope, given.get("name", node.args[0] if node.args else None))
            group = self._literal(
                module, scope, given.get("group", node.args[1] if len(node.args) > 1 else None)
            )
            yield {"name": name, "group": group}

    def _calls(self, module: Module, scope: Scope, node: ast.expr | None) -> Iterator[ast.Call]:
        match node:
            case ast.Call(func=function) if _last_name(function) == "DeprecatedOpt":
                yield node
            case ast.List(elts=items) | ast.Tuple(elts=items):
                for item in items:
                    yield from self._calls(module, scope, item)
            case ast.Name():
                for home, where, value in self._places(module, scope, node):
                    if not isinstance(value, ast.Name):
                        yield from self._calls(home, where, value)

    def _literal(self, module: Module, scope: Scope, node: ast.expr | None, depth: int = 0) -> object:
        if isinstance(node, (ast.Name, ast.Attribute)) and depth < DEEPEST:
            return next(
                (self._literal(*place, depth + 1) for place in self._places(module, scope, node)), None
            )
        try:
            return None if node is None else ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _parsed(text: str) -> ast.Module | None:
    """Return the syntax tree, of Python 2 too; None for what is neither."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        from lib2to3.refactor import RefactoringTool  # noqa: PLC0415 - gone in Python 3.13, needed for Python 2 only
    fixers = ["except", "print", "raise", "exec", "ne", "repr", "numliterals", "unicode", "tuple_params"]
    try:
        tool = RefactoringTool([f"lib2to3.fixes.fix_{name}" for name in fixers])
        return ast.parse(str(tool.refactor_string(text + "\n", "module")))
    except Exception:  # noqa: BLE001 - lib2to3 raises errors of its own for text that is no Python
        return None


def sources(repository: str, revision: str, folder: str) -> dict[str, str]:
    """Return module name -> text of the product's own modules below a folder of a repository."""
    command = ["git", "-C", repository, "archive", "--format=tar", revision, *folder.split(",")]
    archive = subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            path = Path(member.name)
            content = members.extractfile(member) if path.suffix == ".py" and member.isfile() else None
            if content is not None and not NOT_PRODUCT & set(path.parts):
                name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
                found[name] = content.read().decode("utf-8", "replace")
    return found


def document(namespace: str, groups: dict[str, dict[str, Json]]) -> Json:
    """Return the options in the form of the generator."""
    return {
        "options": {
            group: {"opts": [{**option, "namespace": namespace} for _name, option in sorted(options.items())]}
            for group, options in sorted(groups.items())
        }
    }


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("trees", nargs="+", metavar="NAMESPACE[/GROUP]=REPOSITORY@REVISION:FOLDER[,FOLDER]")
    asked = parser.parse_args()
    asked.into.mkdir(parents=True, exist_ok=True)
    index: Json = {"kind": "source", "namespaces": {}, "plugins": [], "plugins_from": ""}
    for tree in asked.trees:
        namespace, _equals, place = tree.partition("=")
        repository, _at, rest = place.partition("@")
        revision, _colon, folder = rest.partition(":")
        reader = Reader(sources(repository, revision, folder))
        if namespace == PLUGINS:
            index |= {"plugins": reader.every_option(), "plugins_from": f"{folder.split('/')[0]} {revision}"}
            continue
        namespace, _slash, rest_group = namespace.partition("/")
        groups = reader.options()
        if rest_group:
            seen = {name for options in groups.values() for name in options}
            rest = {option["dest"]: option for option in reader.every_option() if option["dest"] not in seen}
            groups.setdefault(rest_group, {}).update(rest)
        text = json.dumps(document(namespace, groups), sort_keys=True, indent=1, default=str)
        (asked.into / f"{namespace}.json").write_text(text, encoding="utf-8")
        index["namespaces"][namespace] = {"kind": "source", "from": f"{folder.split('/')[0]} {revision}"}
        print(f"{namespace} {revision}: {sum(map(len, groups.values()))} options")
    (asked.into / "index.json").write_text(json.dumps(index, sort_keys=True, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
