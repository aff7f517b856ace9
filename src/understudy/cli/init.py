"""understudy init: a commented spec to start from."""

from importlib import resources
from pathlib import Path

from understudy.cli.console import out, print_json
from understudy.findings import Finding, FindingsError, Place


def init(file: Path = Path("cloud.yaml"), /, *, json: bool = False) -> int:
    """Write a commented spec to start from; an existing file is never overwritten.

    Parameters
    ----------
    file
        Where to write it.
    json
        Print JSON.
    """
    text = (resources.files("understudy.spec") / "start.yaml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise FindingsError([Finding("file-exists", place=Place(str(file)))]) from error
    except OSError as error:
        values = {"reason": error.strerror}
        raise FindingsError([Finding("file-unwritable", values=values, place=Place(str(file)))]) from error
    if json:
        print_json({"written": str(file)})
        return 0
    out.print(f"Written: {file}. Change names and addresses to yours, then:")
    out.print(
        f"  understudy secrets {file} --generate\n  understudy check {file}\n  understudy lab up {file}"
    )
    return 0
