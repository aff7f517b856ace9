"""Options are read out of source code: registered, offered, in Python 2, under computed groups."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).parents[3] / "tools/option_source.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("option_source", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


CASES: dict[str, tuple[dict[str, str], dict[str, dict[str, str]]]] = {
    "a list registered in DEFAULT": (
        {"p.a": "opts = [cfg.StrOpt('bind_host'), cfg.IntOpt('bind-port')]\nCONF.register_opts(opts)\n"},
        {"DEFAULT": {"bind_host": "string value", "bind_port": "integer value"}},
    ),
    "a group by name, by object, by constant of another module": (
        {
            "p.names": "GROUP = 'vnc'\n",
            "p.a": (
                "from p import names\nssl = cfg.OptGroup(name='ssl')\n"
                "CONF.register_opt(cfg.BoolOpt('on'), group=ssl)\n"
                "CONF.register_opt(cfg.PortOpt('port'), group=names.GROUP)\n"
                "CONF.register_opt(cfg.ListOpt('hosts'), 'plain')\n"
            ),
        },
        {"ssl": {"on": "boolean value"}, "vnc": {"port": "port value"}, "plain": {"hosts": "list value"}},
    ),
    "offered in list_opts, chained from other modules": (
        {
            "p.a": "a_opts = [cfg.FloatOpt('timeout')]\nb_opts = []\nb_opts.append(cfg.DictOpt('map'))\n",
            "p.opts": "import itertools\nimport p.a\n"
            "def list_opts():\n    return [(None, list(itertools.chain(p.a.a_opts, p.a.b_opts)))]\n",
        },
        {"DEFAULT": {"timeout": "floating point value", "map": "dict value"}},
    ),
    "a dictionary of groups": (
        {"p.a": "OPTIONS = {'sql': [cfg.StrOpt('connection')], None: [cfg.StrOpt('admin_token')]}\n"},
        {"sql": {"connection": "string value"}, "DEFAULT": {"admin_token": "string value"}},
    ),
    "a group named like its module": (
        {"p.conf.token": "GROUP = __name__.split('.')[-1]\nALL = [provider]\nprovider = cfg.StrOpt('provider')\n"
         "ALL = [provider]\ndef list_opts():\n    return {GROUP: ALL}\n"},
        {"token": {"provider": "string value"}},
    ),
    "Keystone's first helpers": (
        {"p.config": "register_str('template_file', group='catalog')\nregister_int('public_port', default=5000)\n"},
        {"catalog": {"template_file": "string value"}, "DEFAULT": {"public_port": "integer value"}},
    ),
    "Python 2": (
        {"p.a": "opts = [cfg.StrOpt('x')]\nprint 'x'\n"
         "try:\n    y()\nexcept Z, e:\n    pass\nCONF.register_opts(opts)\n"},
        {"DEFAULT": {"x": "string value"}},
    ),
    "names that lead to themselves": (
        {"p.a": "a = b\nb = a\nCONF.register_opts(a)\nCONF.register_opt(cfg.StrOpt('x'))\n"},
        {"DEFAULT": {"x": "string value"}},
    ),
    "what cannot be told is left out": (
        {"p.a": "CONF.register_opt(cfg.StrOpt(name))\nCONF.register_opt(cfg.StrOpt('y'), group=compute())\n"},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_options_are_found_where_they_are_registered(tool: ModuleType, case: str) -> None:
    if case == "Python 2":
        pytest.importorskip("lib2to3")
    sources, groups = CASES[case]
    found: dict[str, dict[str, Any]] = tool.Reader(sources).options()
    assert {
        group: {name: o["type"] for name, o in options.items()} for group, options in found.items()
    } == groups


def test_what_is_known_of_an_option(tool: ModuleType) -> None:
    text = (
        "old = [cfg.DeprecatedOpt('sql_connection', group='DEFAULT')]\n"
        "CONF.register_opt(cfg.StrOpt('connection', secret=True, deprecated_opts=old, default='x'), 'database')\n"
        "CONF.register_opt(cfg.IntOpt('n', min=1, max=2, deprecated_name='m', choices=(1, 2)), 'database')\n"
    )
    options = tool.Reader({"p.a": text}).options()["database"]
    assert options["connection"]["secret"]
    assert options["connection"]["default"] == "x"
    assert options["connection"]["deprecated_opts"] == [{"name": "sql_connection", "group": "DEFAULT"}]
    assert (options["n"]["min"], options["n"]["max"], options["n"]["choices"]) == (1, 2, [[1], [2]])
    assert options["n"]["deprecated_opts"] == [{"name": "m", "group": None}]


def test_options_of_plugins_are_found_though_nobody_registers_them(tool: ModuleType) -> None:
    text = "class Loader:\n    def get_options(self):\n        return [loading.Opt('user-domain-name')]\n"
    assert [option["dest"] for option in tool.Reader({"p.a": text}).every_option()] == ["user_domain_name"]
