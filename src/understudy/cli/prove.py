"""``understudy prove`` for input that is already loaded: a CIB as text or a file."""

import json
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from understudy.proof.page import page
from understudy.proof.prove import prove
from understudy.proof.report import as_json, print_proof
from understudy.proof.result import Options, Proof


def prove_text(text: bytes, name: str, options: Options, console: Console | None = None) -> Proof:
    """Prove a CIB and show progress on the console, if one is given and it is a terminal."""
    if console is None or not console.is_terminal:
        return prove(text, name, options)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("failures played", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return prove(text, name, options, tell)


def prove_file(path: Path, options: Options, console: Console | None = None) -> Proof:
    """Prove a CIB file; raises ``OSError`` if it cannot be read."""
    return prove_text(path.read_bytes(), str(path), options, console)


def show(proof: Proof, console: Console, *, as_data: bool = False, html: Path | None = None) -> int:
    """Show a proof and return the exit status: 0 sound, 1 not, 2 where the input itself is no configuration."""
    if html is not None:
        html.write_text(page(proof), encoding="utf-8")
    if as_data:
        console.file.write(json.dumps(as_json(proof), indent=2, ensure_ascii=False) + "\n")
    else:
        print_proof(proof, console)
    return exit_status(proof)


def exit_status(proof: Proof) -> int:
    """Return 0 for a sound proof, 1 for one that found something, 2 where the input could not be judged."""
    unusable = any(
        finding.code.startswith("cib-") and finding.severity == "error" for finding in proof.findings
    )
    if unusable:
        return 2
    return 0 if proof.sound else 1
