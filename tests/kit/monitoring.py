"""The alerts and the panels of docs/monitoring, and the metrics they ask for."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = json.loads((MONITORING / "dashboard.json").read_text())["panels"]


def metrics_of(expression: str) -> set[str]:
    """The metrics of ours in a PromQL expression."""
    return set(re.findall(r"\bmedia_[a-z_]+\b", re.sub(r'"[^"]*"', "", expression)))


def asked_for() -> set[str]:
    """Every metric that an alert or a panel asks for."""
    expressions = [alert["expr"] for alert in ALERTS]
    expressions += [target["expr"] for panel in PANELS for target in panel["targets"]]
    return {name for expression in expressions for name in metrics_of(expression)}
