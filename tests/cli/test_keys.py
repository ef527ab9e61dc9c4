"""`idp keys`."""

import json
from pathlib import Path

from idp.oidc.keys import ALGORITHMS
from tests.cli.conftest import Run


def _states(succeed: Run) -> list[tuple[str, str]]:
    return sorted((each["algorithm"], each["state"]) for each in json.loads(succeed("keys", "list", "--json").stdout))


def test_rotating_twice_moves_a_key_through_its_states(instance: Path, succeed: Run) -> None:
    assert _states(succeed) == [("ES256", "active"), ("RS256", "active")]
    told = json.loads(succeed("keys", "rotate", "--json").stdout)
    assert set(told) == set(ALGORITHMS)
    assert _states(succeed) == [("ES256", "active"), ("ES256", "next"), ("RS256", "active"), ("RS256", "next")]
    assert "signs now" in succeed("keys", "rotate").stdout
    assert [state for algorithm, state in _states(succeed) if algorithm == "RS256"] == ["active", "next", "retired"]


def test_the_table_shows_no_private_part(instance: Path, succeed: Run) -> None:
    shown = succeed("keys", "list").stdout
    assert shown.splitlines()[0].split() == ["KEY", "ID", "ALGORITHM", "STATE", "CREATED", "ACTIVATED", "RETIRED"]
    assert "sealed" not in succeed("keys", "list", "--json").stdout
