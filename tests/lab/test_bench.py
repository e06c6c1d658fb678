"""The benchmark runs through: every measure on every way gives a figure. How large it is belongs to no test."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.measures import MEASURES
from bench.ways import WAYS
from isthmus.lab import state

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]


def test_every_cell_is_measured_and_no_lab_is_left(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    line = [sys.executable, "-m", "bench", "--rounds", "1", "--seconds", "0.3", "--output", str(output)]
    with subprocess.Popen(line, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
        said, complained = bench.communicate()
    assert bench.returncode == 0, complained
    assert all(each.title in said for each in MEASURES)
    measured = {
        (each["measure"], each["way"]) for each in json.loads(output.read_text())["figures"] if each["value"] > 0
    }
    assert measured == {(measure.name, way) for measure in MEASURES for way in WAYS}
    assert [state.find(f"{kind}-{bench.pid}") for kind in ("wire", "bench")] == [None, None]
