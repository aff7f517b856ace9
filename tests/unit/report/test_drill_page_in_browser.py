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
  root.dataset.told = document.getElementById("timeline-told").textContent;
});
</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here to look at the page with")


@pytest.fixture(scope="module")
def dom(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser")
    record = history()
    page = folder / "drill.html"
    page.write_text(drill_page(record, judge(record), "Drill", extra={"Measure": MEASURE}), encoding="utf-8")
    return dumped(page, folder)


def dumped(page: Path, folder: Path) -> str:
    argv = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout


def test_time_line_is_drawn_with_its_lanes_bands_and_outages(dom: str) -> None:
    lanes = re.findall(r'class="lane">([^<]*)<', dom)
    assert lanes == ["images", "a", "b", "ip", "cluster"]
    assert len(re.findall(r'class="band"', dom)) == 1
    assert 'class="item bad"' in dom
    assert 'class="item fencing"' in dom


def test_zooming_shows_half_of_it(dom: str) -> None:
    told = re.search(r'data-told="([\d.]+) s to ([\d.]+) s"', dom)
    assert told is not None
    begin, end = float(told[1]), float(told[2])
    assert end - begin == pytest.approx(12 / 2, abs=0.1)
    assert begin == pytest.approx(3, abs=0.1)


def test_page_fits_its_window_and_fetches_nothing(dom: str) -> None:
    assert 'data-overflow="false"' in dom
    assert 'data-fetched="0"' in dom
