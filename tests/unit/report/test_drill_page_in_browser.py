"""What the report shows in a browser: the time line is drawn, nothing overflows, nothing is fetched."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.unit.report.test_drill_page import history

from understudy.drill.verdicts import judge
from understudy.report.drill_page import drill_page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,900"),
)
# Leaves behind in the page what a test wants to know of its layout and errors.
MEASURE = """<script>
addEventListener("load", () => {
  document.getElementById("closer").click();
  const root = document.documentElement;
  root.dataset.overflow = root.scrollWidth > root.clientWidth;
  root.dataset.fetched = performance.getEntriesByType("resource").length;
  const width = of => document.querySelector(of).getBoundingClientRect().width;
  root.dataset.bars = [".bar.ours i:last-child", ".bar.guide i:last-child"].map(width).map(Math.round);
  root.dataset.proof = document.querySelector("table.proof").innerText.replace(/\\s+/g, " ");
  root.dataset.lost = document.querySelector("table.written tbody").innerText.replace(/\\s+/g, " ");
  root.dataset.told = document.getElementById("timeline-told").textContent;
});
</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here to look at the page with")


@pytest.fixture(scope="module")
def dom(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser")
    record = history()
    page = folder / "drill.html"
    page.write_text(
        drill_page(record, judge(record), "Drill", judge(history(outage=4)), {"Measure": MEASURE}),
        encoding="utf-8",
    )
    return dumped(page, folder)


def dumped(page: Path, folder: Path) -> str:
    argv = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout


def test_time_line_is_drawn_with_its_lanes_bands_and_outages(dom: str) -> None:
    lanes = re.findall(r'class="lane">([^<]*)<', dom)
    assert lanes == ["images", "writer", "a", "b", "ip", "cluster"]
    assert len(re.findall(r'class="band"', dom)) == 1
    assert 'class="item bad"' in dom
    assert 'class="item fencing"' in dom


def test_zooming_shows_half_of_it(dom: str) -> None:
    told = re.search(r'data-told="([\d.]+) s to ([\d.]+) s"', dom)
    assert told is not None
    begin, end = float(told[1]), float(told[2])
    assert end - begin == pytest.approx(12 / 2, abs=0.1)
    assert begin == pytest.approx(3, abs=0.1)


def test_bars_tables_and_matrix_are_seen(dom: str) -> None:
    bars = re.search(r'data-bars="(\d+),(\d+)"', dom)
    assert bars is not None
    assert int(bars[2]) / int(bars[1]) == pytest.approx(3.95 / 1.95, rel=0.05)
    assert re.search(r'data-proof="[^"]*node lost a → ·', dom)
    assert re.search(r'data-lost="writer 3 0 nothing\s*"', dom)


def test_page_fits_its_window_and_fetches_nothing(dom: str) -> None:
    assert 'data-overflow="false"' in dom
    assert 'data-fetched="0"' in dom
