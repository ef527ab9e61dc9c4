"""`bench/load.py` gives a good verdict to what stayed as it was, and to nothing else; its plot is well-formed."""

import math
from xml.etree import ElementTree

import pytest

from tests.house.pages import ROOT

NOTHING_WRONG = (10_000, 0, 0)


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "bench")
    import load_report

    return load_report


def samples_of(
    report, *, until=1810, memory=lambda _at: 60.0, latency=lambda _at: 3.0, files=lambda _at: 100, waiting=0, log=4.0
):
    return [
        report.Sample(
            at=at,
            due=100,
            latencies={"sso login": [latency(at)] * 100, "userinfo": [2.0] * 50},
            waiting=waiting,
            memory={"main": 30.0, "web 1": memory(at)},
            resident={},
            files=files(at),
            sizes={"database": at / 10, "log": log},
            rows={"mails": 1, "throttles": 5},
            cpu=1.0,
        )
        for at in range(10, until, 10)
    ]


def verdict(report, counted=NOTHING_WRONG, **changes):
    return [
        each.told for each in report.judge(samples_of(report, **changes), report.Counted(*counted)) if not each.is_good
    ]


def test_what_stays_as_it_was_is_good(report):
    assert verdict(report) == []
    assert verdict(report, memory=lambda at: 60 + min(at, 600) / 30) == [], "it may warm up in the first half"
    assert verdict(report, files=lambda at: 180 if at == 1500 else 100) == [], "a burst may open some for a moment"
    for until in (11, 130):
        assert verdict(report, memory=lambda at: 60 + at, until=until) == [], "a short look tells, and does not judge"


def test_what_is_rare_is_not_judged(report):
    samples = samples_of(report)
    for each, milliseconds in ((samples[0], 10.0), (samples[-1], 30.0)):
        each.latencies["used again"] = [milliseconds] * 19
    counted = report.Counted(*NOTHING_WRONG)
    assert all(each.is_good for each in report.judge(samples, counted))
    samples[0].latencies["used again"] += [10.0]
    samples[-1].latencies["used again"] += [30.0]
    assert [each.told for each in report.judge(samples, counted) if not each.is_good]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"memory": lambda at: 60 + at / 200}, "memory"),
        ({"latency": lambda at: 10 + at / 60}, "sso login"),
        ({"files": lambda at: 100 + at // 30}, "open files"),
        ({"log": 80.0}, "log"),
        ({"waiting": 500}, "wait at the end"),
        ({"counted": (10_000, 1, 0)}, "wrong answers"),
        ({"counted": (10_000, 0, 1)}, "without an answer"),
    ],
    ids=["memory", "latency", "files", "log", "backlog", "wrong", "failed"],
)
def test_what_does_not_is_named(report, changes, named):
    told = verdict(report, **changes)
    assert told
    assert named in told[0]


def test_the_plot_is_well_formed_and_has_colours_for_dark_pages(report, tmp_path):
    path = tmp_path / "load.svg"
    report.plot(path, samples_of(report), 'A "mixed" load <30 minutes>')
    picture = ElementTree.parse(path).getroot()
    lines = picture.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 1 + 2 * 2 + 2 + 2 + 1 + 3
    assert "prefers-color-scheme:dark" in path.read_text("utf-8")
    assert "nan" not in path.read_text("utf-8")


def test_round_ticks(report):
    from plots import Scale, ticks

    assert ticks(Scale(0, 30, 0, 1, False)) == [0, 10, 20, 30]
    assert ticks(Scale(1, 1000, 0, 1, True)) == [1, 10, 100, 1000]
    assert not any(math.isnan(each) for each in ticks(Scale(0, 0.013, 0, 1, False)))
