"""docs/monitoring: rules, their unit tests and the dashboard, without a running service.

That their metrics exist is tested in journeys/test_uploads.py, on what the processes really print.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kit.monitoring import ALERTS, MONITORING, PANELS
from workers.processes import PROCESSES

ROOT = Path(__file__).parent.parent
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool (Debian package `prometheus`) is not on the PATH"
)
ANCHORS = {
    re.sub(r"[^a-z0-9 -]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
    for line in (ROOT / "docs" / "operations.md").read_text().splitlines()
    if line.startswith("#")
}


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
        ("check", "config", "prometheus.yml"),
    ],
    ids=" ".join,
)
def test_promtool_agrees(command: tuple[str, ...]) -> None:
    assert PROMTOOL is not None
    ended = subprocess.run(
        [PROMTOOL, *command], cwd=MONITORING, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_has_a_severity_a_sentence_and_a_paragraph_to_act_by(
    alert: dict[str, Any],
) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"]["summary"].endswith(".")
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert page == "docs/operations.md"
    assert anchor in ANCHORS


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_is_tested_with_what_fires_it_and_what_does_not(alert: dict[str, Any]) -> None:
    tests = yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]
    names = {test["name"] for test in tests}
    assert {f"{alert['alert']} fires", f"{alert['alert']} stays quiet"} <= names


def test_the_rows_of_the_specification_come_first() -> None:
    assert [alert["alert"] for alert in ALERTS][:6] == [
        "MediaUploadSuccessLow",
        "MediaPresignSlow",
        "MediaPutErrorsHigh",
        "MediaStaleUploadsHigh",
        "MediaStorageGrowth",
        "MediaDeleteSpike",
    ]


def test_every_process_is_scraped_once() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    targets = [
        target
        for job in config["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    ]
    assert sorted(target.partition(":")[0] for target in targets) == sorted(
        process.name for process in PROCESSES if process.production
    )
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for target in targets:
        name, _, port = target.partition(":")
        given = services[name]["environment"]["MEDIA_METRICS_PORT"]
        assert port == ("8790" if name == "internal" else given)


def test_the_panels_of_the_dashboard_do_not_overlap_and_ask_the_chosen_source() -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["title"]
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken
        taken |= cells
