"""What the demo writes for its controllers is what they read."""

from pathlib import Path

import pytest

from controllers_sim.scenario import read_scenario
from twin.demo.simulation import HISTORY, is_new, scenario
from twin.stream.broker import BrokerAddress

PROFILES = {"ctl-1": "sem", "ctl-2": "hplc"}
KEYS = {"ctl-2": "ab" * 32}


def written(home: Path, *, history: bool, traces: tuple[Path, ...] = ()) -> Path:
    path = home / "scenario.toml"
    passwords = {controller: f'{controller}"\\' for controller in PROFILES}
    broker = BrokerAddress("127.0.0.1", 1884, None, None)
    path.write_text(scenario(broker, "Asia/Shanghai", PROFILES, passwords, traces, grant_keys=KEYS, history=history))
    return path


@pytest.mark.parametrize(("history", "expected"), [(True, HISTORY), (False, None)])
def test_its_scenario_is_read_as_it_was_meant(tmp_path: Path, *, history: bool, expected: str | None) -> None:
    trace = tmp_path / "day.csv"
    trace.write_text("26/01/2012 00:00:05;2;0\n")
    found = read_scenario(written(tmp_path, history=history, traces=(trace,)))
    assert found.history == expected
    first, second = found.controllers
    assert (first.id, first.password, first.trace, first.relay) == ("ctl-1", 'ctl-1"\\', str(trace), "none")
    assert (first.grant_key, second.grant_key) == (None, "ab" * 32)
    assert (second.id, second.profile, second.relay_at_start) == ("ctl-2", "hplc", "on")


def test_a_home_is_new_until_controllers_have_run_in_it(tmp_path: Path) -> None:
    assert is_new(tmp_path)
    written(tmp_path, history=False)
    assert not is_new(tmp_path)
