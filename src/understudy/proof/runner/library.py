"""Pacemaker's scheduler called in-process.

The symbols are internal to Pacemaker and the offsets belong to one ABI, so this is used with exactly the version below
and after a self-test against the ``crm_simulate`` binary. An assertion of the library ends the process: call it only in
a worker.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_uint, c_ulonglong, c_void_p
from typing import Any

VERSION = "2.1.5"
_INPUT, _NOW, _FLAGS, _GRAPH, _PRIVATE = 0, 8, 48, 184, 264
_NO_COMPAT, _SANITIZED = 0x01000000, 0x00200000


class SchedulerUnavailableError(Exception):
    """The scheduler cannot be used this way on this machine."""


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes has no types here
    function = getattr(library, name)
    function.restype = result
    function.argtypes = arguments
    return function


class LibraryScheduler:
    """The scheduler of libpacemaker 2.1.5; raises ``SchedulerUnavailableError`` where it cannot be loaded."""

    def __init__(self) -> None:
        try:
            pacemaker = ctypes.CDLL("libpacemaker.so.1")
            status = ctypes.CDLL("libpe_status.so.28")
            common = ctypes.CDLL("libcrmcommon.so.34")
            # The process's own free(): with a preloaded allocator the C library's would be the wrong one.
            self._release = _function(ctypes.CDLL(None), "free", None, c_void_p)
            self._parse = _function(common, "string2xml", c_void_p, c_char_p)
            self._upgrade = _function(common, "cli_config_update", c_int, POINTER(c_void_p), c_void_p, c_int)
            self._dump = _function(common, "dump_xml_unformatted", c_void_p, c_void_p)
            self._free_xml = _function(common, "free_xml", None, c_void_p)
            self._new_time = _function(common, "crm_time_new_undefined", c_void_p)
            self._set_time = _function(common, "crm_time_set_timet", None, c_void_p, POINTER(c_int64))
            self._new = _function(status, "pe_new_working_set", c_void_p)
            self._free = _function(status, "pe_free_working_set", None, c_void_p)
            self._status = _function(status, "cluster_status", c_int, c_void_p)
            self._schedule = _function(
                pacemaker, "pcmk__schedule_actions", None, c_void_p, c_ulonglong, c_void_p
            )
            initialise = _function(common, "pcmk__cli_init_logging", None, c_char_p, c_uint)
            new_output = _function(common, "pcmk__log_output_new", c_int, POINTER(c_void_p))
            register_status = _function(status, "pe__register_messages", None, c_void_p)
            register = _function(pacemaker, "pcmk__register_lib_messages", None, c_void_p)
        except (OSError, AttributeError) as error:
            raise SchedulerUnavailableError(str(error)) from error
        initialise(b"understudy", 0)
        output = c_void_p()
        if new_output(byref(output)) != 0 or not output.value:
            raise SchedulerUnavailableError("libcrmcommon gave no output object")
        register_status(output)
        register(output)
        self._output = output.value

    def upgrade(self, cib: bytes) -> bytes | None:
        """Return the CIB brought to the newest schema by Pacemaker itself; None if it will not have it."""
        tree = c_void_p(self._parse(cib))
        if not tree.value:
            return None
        if not self._upgrade(byref(tree), None, 0) or not tree.value:
            return None
        text = self._text(tree.value)
        self._free_xml(tree)
        return text

    def _text(self, tree: int) -> bytes:
        pointer = self._dump(tree)
        text = ctypes.string_at(pointer)
        self._release(pointer)
        return text

    def graph(self, cib: bytes, now: int | None) -> bytes:
        """Return the transition graph for this CIB; ``now`` in seconds since the epoch, None for the real time."""
        tree = self._parse(cib)
        if not tree:
            raise ValueError("libpacemaker cannot parse this CIB")
        working = self._new()

        def place(offset: int, value: int) -> None:
            c_void_p.from_address(working + offset).value = value

        place(_PRIVATE, self._output)
        place(_INPUT, tree)
        c_ulonglong.from_address(working + _FLAGS).value |= _NO_COMPAT | _SANITIZED
        if now is not None:
            moment = self._new_time()
            self._set_time(moment, byref(c_int64(now)))
            place(_NOW, moment)
        self._status(working)
        self._schedule(tree, _NO_COMPAT, working)
        graph = c_void_p.from_address(working + _GRAPH).value
        text = self._text(graph) if graph else b"<transition_graph/>"
        self._free(working)
        return text
