"""Scenarios, broker addresses, durations: what people write."""

import json
import re
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controllers_sim import people
from controllers_sim.broker import Account, Broker, BrokerTable, find_broker
from controllers_sim.durations import duration_ms
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import Faults
from controllers_sim.plan import Booking
from controllers_sim.scenario import ControllerEntry, Scenario, made_up, read_scenario
from controllers_sim.simulation import account_of, check_accounts
from controllers_sim.sources import Deserted, Instrument, Planned, Recording, capabilities, sources_of

README = Path(__file__).parents[3] / "controllers_sim" / "README.md"
WHOLE = """
seed = 7
timezone = "Europe/Berlin"
interval = "2s"
history = "36h"

[broker]
host = "127.0.0.1"
port = 1884

[faults]
drop = 0.01

[[controllers]]
id = "sem-01"
password = "sesame"
profile = "sem"
relay = "off"
demand = 1.5

[[controllers]]
id = "fr-01"
password = "open"
trace = "day.csv"
relay = "none"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "day.csv").write_text("26/01/2012 00:00:05;2;0\n")
    scenario = tmp_path / "lab.toml"
    scenario.write_text(WHOLE)
    return scenario


def test_a_scenario_is_read_whole(path: Path) -> None:
    scenario = read_scenario(path)
    assert (scenario.seed, scenario.timezone, scenario.interval) == (7, "Europe/Berlin", "2s")
    assert scenario.history_ms == 36 * 3_600_000
    assert scenario.broker == BrokerTable("127.0.0.1", 1884)
    assert scenario.faults == Faults(drop=0.01)
    sem, freezer = scenario.controllers
    assert sem == ControllerEntry("sem-01", "sesame", "sem", None, "off", 1.5)
    assert freezer.trace == str(path.parent / "day.csv")
    assert isinstance(sources_of(sem, scenario).live, Instrument)
    assert isinstance(sources_of(freezer, scenario).live, Recording)
    assert capabilities(freezer) == ("power",)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("seed = 7", 'seed = "x"', "Expected `int`, got `str`, at seed"),
        ("drop = 0.01", "drop = 2", r"Expected `float` <= 1.0, at faults.drop"),
        ("drop =", "loose =", "unknown field `loose`, at faults"),
        ('"sem-01"', '"sem 01"', r"regex.*at controllers\[0\].id"),
        ('"off"', '"maybe"', r"Invalid enum value 'maybe', at controllers\[0\].relay"),
        ('"sem"', '"scanner"', r"sem-01: profile 'scanner' is none of sem, xrd.*at controllers\[0\]"),
        ('profile = "sem"', "", "sem-01: give either profile or trace"),
        ('"fr-01"', '"sem-01"', "controllers: sem-01 twice"),
        ('"Europe/Berlin"', '"Mars/Crater"', "timezone: 'Mars/Crater' is none"),
        ('"2s"', '"2"', "'2' is not a duration"),
        ('"36h"', '"1 week"', "history: '1 week' is not a duration"),
        ('"36h"', '"721h"', "history: 721h is too long: at most 720h"),
        ("port = 1884", "port = 0", "at broker.port"),
        ('"day.csv"', '"night.csv"', r"fr-01: trace .*night.csv is not there"),
        ("[faults]", "[faults", "Expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(path: Path, before: str, after: str, problem: str) -> None:
    path.write_text(WHOLE.replace(before, after))
    with pytest.raises(SimulatorError, match=rf"lab\.toml: .*{problem}"):
        read_scenario(path)


BOOKING = {"card": "04a1b2c3", "from": 1_700_000_000_000, "to": 1_700_003_600_000, "user": "u1"}


def with_plan(path: Path, plan: object, more: str = "mischief = 0.5") -> Path:
    (path.parent / "plan.json").write_text(json.dumps(plan))
    path.write_text(f'plan = "plan.json"\n{more}\n{WHOLE}')
    return path


def test_a_plan_is_found_beside_the_scenario_and_given_to_its_controllers(path: Path) -> None:
    scenario = read_scenario(with_plan(path, {"sem-01": [BOOKING]}))
    sem, freezer = scenario.controllers
    assert sem.bookings == (Booking("04a1b2c3", 1_700_000_000_000, 1_700_003_600_000, "u1"),)
    assert freezer.bookings is None
    assert scenario.mischief == 0.5
    assert isinstance(sources_of(sem, scenario).live, Planned)
    assert isinstance(sources_of(sem, scenario).past, Deserted)


def test_a_plan_without_bookings_is_still_followed(path: Path) -> None:
    sem, _ = read_scenario(with_plan(path, {"sem-01": []})).controllers
    assert sem.bookings == ()


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        ({"sem-02": []}, "the plan has bookings of sem-02, who does not take part"),
        ({"sem-01": [BOOKING | {"card": "xyz"}]}, r"plan.json: .*at `\$\[...\]\[0\].card`"),
        ({"sem-01": [BOOKING | {"to": 5}]}, "a booking of u1 ends before it begins"),
        ({"sem-01": [{"card": "aa"}]}, "missing required field `from`"),
        ([], r"plan.json: Expected `object`, got `array`"),
    ],
)
def test_a_wrong_plan_is_reported(path: Path, plan: object, problem: str) -> None:
    with pytest.raises(SimulatorError, match=problem):
        read_scenario(with_plan(path, plan))


def test_a_missing_plan_is_reported(path: Path) -> None:
    path.write_text(f'plan = "none.json"\n{WHOLE}')
    with pytest.raises(SimulatorError, match=r"none\.json: cannot read the plan: No such file"):
        read_scenario(path)


@pytest.mark.parametrize("mischief", [-0.1, 2.1])
def test_mischief_has_its_bounds(path: Path, mischief: float) -> None:
    with pytest.raises(SimulatorError, match="at mischief"):
        read_scenario(with_plan(path, {}, f"mischief = {mischief}"))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (ControllerEntry("a", profile="sem"), "on"),
        (ControllerEntry("a", profile="sem", bookings=()), "off"),
        (ControllerEntry("a", profile="sem", bookings=(), relay="on"), "on"),
        (ControllerEntry("a", profile="freezer", bookings=()), "none"),
        (ControllerEntry("a", profile="workstation", bookings=()), "none"),
        (ControllerEntry("a", trace="day.csv", bookings=()), "on"),
    ],
)
def test_where_sessions_decide_a_relay_starts_open_unless_it_may_never_be(
    entry: ControllerEntry, expected: str
) -> None:
    assert entry.relay_at_start == expected
    assert ("relay" in capabilities(entry)) is (expected != "none")


def test_a_scenario_without_history_starts_with_the_present(path: Path) -> None:
    path.write_text(WHOLE.replace('history = "36h"', ""))
    assert read_scenario(path).history_ms == 0


def test_a_missing_scenario_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match=r"none\.toml: cannot read the scenario: No such file"):
        read_scenario(tmp_path / "none.toml")


def test_the_example_in_the_readme_works(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    (tmp_path / "lab.toml").write_text(found[1])
    (tmp_path / "plan.json").write_text(json.dumps({"sem-01": [BOOKING]}))
    for trace in re.findall(r'trace = "(.*)"', found[1]):
        (tmp_path / trace).parent.mkdir(exist_ok=True)
        (tmp_path / trace).write_text("26/01/2012 00:00:05;2;0\n")
    assert read_scenario(tmp_path / "lab.toml").controllers


def test_a_made_up_scenario_is_a_mix_that_follows_from_its_seed() -> None:
    ids = [f"c{number:04}" for number in range(300)]
    scenario = made_up(ids, 1)
    assert scenario == made_up(ids, 1) != made_up(ids, 2)
    assert [entry.id for entry in scenario.controllers] == ids
    assert len({entry.profile for entry in scenario.controllers}) == 7


def test_a_controller_speaks_by_its_own_account_else_by_the_one_for_all() -> None:
    own, other = ControllerEntry("a", "pw", "sem"), ControllerEntry("b", None, "sem")
    shared = Broker("h", 1, Account("all", "x"))
    assert account_of(own, shared) == Account("a", "pw")
    assert account_of(other, shared) == Account("all", "x")
    assert account_of(other, Broker("h", 1)) is None


def test_a_controller_left_without_an_account_is_reported(path: Path) -> None:
    path.write_text(WHOLE.replace('password = "open"', ""))
    with pytest.raises(SimulatorError, match=r"fr-01 .*no password"):
        check_accounts(read_scenario(path), Broker("h", 1))


def test_the_broker_is_found_by_join_then_environment_then_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "info.json"
    mqtt = {"host": "a", "port": 1, "username": "u", "password": "p", "tls": False}
    info.write_text(json.dumps({"http": "http://x", "mqtt": mqtt}))
    table = BrokerTable("c", 3)
    monkeypatch.setenv("MQTT_URL", "mqtt://me%40x:s%2Fecret@b:2")
    assert find_broker(str(info), table) == Broker("a", 1, Account("u", "p"))
    assert find_broker(None, table) == Broker("b", 2, Account("me@x", "s/ecret"))
    monkeypatch.delenv("MQTT_URL")
    assert find_broker(None, table) == Broker("c", 3)
    with pytest.raises(SimulatorError, match="No broker is given"):
        find_broker(None, None)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"mqtt":{"host":1}}', '{"mqtt":null}'])
def test_a_wrong_join_file_is_reported(tmp_path: Path, text: str) -> None:
    info = tmp_path / "info.json"
    info.write_text(text)
    with pytest.raises(SimulatorError, match="not what `twin info --json` prints"):
        find_broker(str(info), None)


@pytest.mark.parametrize("url", ["http://a", "mqtt://", "127.0.0.1:1883", "mqtt://u:secret@h:port"])
def test_a_wrong_address_is_reported_without_showing_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MQTT_URL", url)
    with pytest.raises(SimulatorError, match="MQTT_URL") as error:
        find_broker(None, None)
    assert "secret" not in str(error.value)


def test_passwords_do_not_show() -> None:
    assert "sesame" not in repr(Broker("h", 1, Account("u", "sesame")))


@pytest.mark.parametrize(
    ("text", "value_ms"), [("500ms", 500), ("1.5s", 1500), (" 30s", 30_000), ("2 m", 120_000), ("1h", 3_600_000)]
)
def test_durations(text: str, value_ms: int) -> None:
    assert duration_ms(text) == value_ms


@pytest.mark.parametrize("text", ["", "30", "-1s", "0s", "1 day", "s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_ms(text)


def test_an_instrument_starts_anew_when_its_relay_closes() -> None:
    entry = ControllerEntry("sem-01", profile="sem", demand=0.0)
    source = sources_of(entry, Scenario((entry,))).live
    noon_ms = people.midnight_ms(date(2026, 3, 3), ZoneInfo("Asia/Shanghai")) + 43_200_000
    long_on, just_on = (source.observe(noon_ms - 1000, noon_ms, since_ms) for since_ms in (0, noon_ms))
    assert long_on is not None
    assert just_on is not None
    assert just_on.power_w > long_on.power_w + 900  # inrush and pumping down
