"""`docs/operations.md` and the dashboard tell of the metrics that exist, and of none that do not."""

import json
import re

from idp import metrics
from idp.accounts.audit import Event
from idp.web.operations.metrics import FAMILIES
from tests.house import pages
from tests.house.pages import section, tables

LABELS = {row[0]: (row[1], row[2], row[3]) for row in tables(section(pages.read("operations.md"), "## Metrics"))[1:]}
DASHBOARD = json.loads(pages.read("grafana.json"))
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS = re.findall(r"expr: '([^']+)'", section(pages.read("operations.md"), "## Metrics"))
QUERIES += [variable["query"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]


def test_every_metric_is_documented_and_no_other():
    assert list(LABELS) == list(FAMILIES)
    for name, (kind, told) in FAMILIES.items():
        assert LABELS[name][0] == kind
        assert LABELS[name][2].startswith(told.rstrip(".")), name


def test_dashboard_and_alerts_name_metrics_that_exist_with_labels_that_they_have():
    used = set()
    assert len(ALERTS) > 3
    for query in (*QUERIES, *ALERTS):
        for name, suffix, selector in re.findall(
            r"\b(idp_\w+?)(_bucket|_sum|_count)?(?:\{([^}]*)\}|(?=[,\[) ]))", query
        ):
            assert name in FAMILIES, query
            assert bool(suffix) == (FAMILIES[name][0] == "histogram")
            used.add(name)
            known = {*LABELS[name][1].split(", "), "instance"}
            assert set(re.findall(r"(\w+)=", selector)) <= known, query
        for event in re.findall(r'event="([^"]+)"', query):
            assert event in set(Event), query
        for labels in re.findall(r"\bby \(([^)]*)\)", query):
            assert any(set(labels.split(", ")) <= {*LABELS[name][1].split(", ")} for name in FAMILIES if name in query)
    assert used == set(FAMILIES)


def test_every_panel_asks_something_and_has_its_place():
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places) > 10
    assert all(panel["targets"] and panel["title"] for panel in DASHBOARD["panels"])


def test_gauges_that_processes_hold_are_gauges():
    assert all(FAMILIES[name][0] == "gauge" for name in metrics.GAUGES)
