"""The page in a browser: a cell opens its story, and nothing is fetched."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from understudy.proof.page import page
from understudy.proof.result import Proof, Row
from understudy.proof.scenarios import Fault

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,900"),
)
PRESS = """<script>
addEventListener("load", () => {
  document.querySelector("button[data-service='database']").click();
  const root = document.documentElement;
  root.dataset.open = document.getElementById("story").open;
  root.dataset.story = document.getElementById("story").innerText.replace(/\\s+/g, " ");
  root.dataset.overflow = root.scrollWidth > root.clientWidth;
  root.dataset.fetched = performance.getEntriesByType("resource").length;
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here to look at the page with")
def test_a_cell_opens_its_story(tmp_path: Path) -> None:
    actions = ["stop database on n1", "start database on n2"]
    reasons = ["its node was lost", "it ran on n1"]
    story = [
        {
            "fault": "node-lost n1",
            "view": "",
            "applied": True,
            "settled": True,
            "transitions": [{"actions": actions, "reasons": reasons, "waiting": []}],
        }
    ]
    services = [f"service-{number}" for number in range(40)] + ["database"]
    words = dict.fromkeys(services, "kept") | {"database": "moved"}
    row = Row(
        "node-lost n1", (Fault("node-lost", node="n1"),), words, ("n1",), {"database": 12.5}, story=story
    )
    file = tmp_path / "proof.html"
    text = page(Proof("cib.xml", rows=[row], services=services, played=1, planned=1))
    file.write_text(text.replace("</body>", PRESS), encoding="utf-8")
    argv = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    dom = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
    told = re.search(r'data-story="([^"]*)"', dom)
    assert told is not None
    assert 'data-open="true"' in dom
    for words_of_it in ("at most 12.5 s", "Fenced: n1", *actions, *reasons):
        assert words_of_it in told[1]
    assert 'data-overflow="false"' in dom
    assert 'data-fetched="0"' in dom
