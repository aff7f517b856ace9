"""Doing many things at once and hearing of everything that went wrong."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from understudy.findings import Finding, FindingsError

Result = TypeVar("Result")


async def all_of(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """Wait for everything, also when something fails.

    Raises one FindingsError (exit status 1) with the findings of all that failed, each once; any other error as it is.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    findings: dict[str, Finding] = {}
    results = []
    for outcome in outcomes:
        if isinstance(outcome, FindingsError):
            findings |= {repr(finding): finding for finding in outcome.findings}
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            results.append(outcome)
    if findings:
        raise FindingsError(findings.values(), exit_status=1)
    return results
