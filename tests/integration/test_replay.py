"""`twin replay`: what is stored follows from the log, what has been tampered with is found, and nothing is written."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from tests.chronicles import DAY_MS, HOUR_MS, START_MS, write_chronicle
from tests.databases import copied
from tests.houses import house
from twin.cli import app
from twin.servers import Postgres
from twin.views import rfc3339

ONE_MORE_LINE = """
INSERT INTO charge_line (session_id, username, at, cause, gross_cny, allowance_cny, subsidy_cny, allowance_min, minutes)
SELECT max(id), 'ada', max(ended), 'session', 1, 0, 0, 0, 0 FROM session
"""

pytestmark = pytest.mark.xdist_group("chronicle")  # so that it is made once


@pytest.fixture(scope="module")
async def written(postgres: Postgres, migrated: str) -> AsyncIterator[str]:
    """The address of a database with a log of two days. Nobody changes it."""
    async with copied(postgres, migrated) as url:
        async with house(url):
            await write_chronicle(url)
        yield url


@pytest.fixture
async def chronicle(postgres: Postgres, written: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of a database with a log of two days, for this test alone."""
    async with copied(postgres, written) as url:
        monkeypatch.setenv("DATABASE_URL", url)
        yield url


async def replay(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["replay", *arguments])


async def verified(*arguments: str) -> dict[str, Any]:
    result = await replay("--verify", "--json", *arguments)
    assert result.exit_code in {0, 1}, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == bool(found["differences"])
    return found


async def execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert not (await connection.execute(statement)).endswith(" 0")
    finally:
        await connection.close()


async def kinds(database_url: str) -> set[str]:
    connection = await asyncpg.connect(database_url)
    try:
        return {row["kind"] for row in await connection.fetch("SELECT kind FROM alert")}
    finally:
        await connection.close()


async def test_what_is_stored_follows_from_the_log(chronicle: str) -> None:
    found = await verified()
    assert found["differences"] == []
    assert (found["sessions"], found["charges"]) == (3, 3)
    assert await kinds(chronicle) >= {"POWER_WITHOUT_SESSION", "CONTROLLER_OFFLINE", "CLOCK_SKEW"}
    assert found["events"] > 3_000


@pytest.mark.parametrize(
    ("from_", "to", "sessions"),
    [
        ("2026-01-12T09:30:00+08:00", "2026-01-13", 2),
        ("2026-01-12T09:30:00+08:00", "2026-01-12T17:00:00+08:00", 2),
        ("2026-01-11T11:00:00+08:00", "2026-01-12", 1),
        ("2026-01-12T18:30:00+08:00", "2030-01-01", 0),
    ],
)
async def test_a_part_of_it_is_replayed_from_a_snapshot(chronicle: str, from_: str, to: str, sessions: int) -> None:
    whole = await verified()
    found = await verified("--from", from_, "--to", to)
    assert found["differences"] == []
    assert found["sessions"] == sessions
    assert found["events"] < whole["events"]


async def test_dates_are_those_of_the_site(chronicle: str) -> None:
    found = await verified("--from", "2026-01-12", "--to", "2026-01-13")
    assert rfc3339(found["window"]["from_ms"]) == "2026-01-11T16:00:00.000+00:00"
    assert found["window"]["until_ms"] > START_MS + DAY_MS + 7 * HOUR_MS


@pytest.mark.parametrize(
    ("statement", "kind", "stored", "replayed"),
    [
        (
            "UPDATE segment SET category = 'off' WHERE category = 'use' AND start < '2026-01-11 12:00Z'",
            *("segment", "off", "use"),
        ),
        (
            "UPDATE session SET username = 'cy' WHERE id = (SELECT min(id) FROM session)",
            "session",
            "user cy",
            "user ada",
        ),
        ("DELETE FROM alert WHERE kind = 'POWER_WITHOUT_SESSION'", "alert", "-", "kind POWER_WITHOUT_SESSION"),
        (
            "UPDATE charge_line SET gross_cny = gross_cny + 0.01 WHERE id = (SELECT max(id) FROM charge_line)",
            *("charge", "gross_cny 176.01", "gross_cny 176.00"),
        ),
        (
            ONE_MORE_LINE,
            *("charge", "gross_cny 177.00, minutes 0", "gross_cny 176.00, minutes 88"),
        ),
    ],
    ids=["segment", "session", "alert", "line", "one more line"],
)
async def test_what_has_been_tampered_with_is_found(
    chronicle: str, statement: str, kind: str, stored: str, replayed: str
) -> None:
    await execute(chronicle, statement)
    [difference] = (await verified())["differences"]
    assert (difference["kind"], difference["instrument"]) == (kind, "SEM")
    assert difference["stored"].startswith(stored)
    assert difference["replayed"].partition(", fired")[0].partition(", net")[0].endswith(replayed)


async def test_people_see_a_table_and_how_much_more_there_is(chronicle: str) -> None:
    await execute(chronicle, "UPDATE session SET project = NULL")
    result = await replay("--verify")
    assert result.exit_code == 1
    assert "project P1" in result.stdout
    assert "3 differences" in result.stdout
    assert "a second and core" in result.stdout


async def test_nothing_is_written(chronicle: str) -> None:
    async def contents() -> list[Any]:
        connection = await asyncpg.connect(chronicle)
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        found = [await connection.fetch(f'SELECT * FROM "{name}" ORDER BY 1, 2') for (name,) in tables]  # noqa: S608
        await connection.close()
        return found

    before = await contents()
    await verified()
    assert await contents() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--verify", "--instrument", "NOWHERE"], "no controller at NOWHERE"),
        (["--verify", "--from", "2026-01-12T10:00:00"], "no offset from UTC"),
        (["--verify", "--from", "yesterday"], "Invalid"),
        (["--verify", "--from", "2031-01-01"], "nothing before"),
        ([], "--verify"),
    ],
)
async def test_what_cannot_be_is_said(chronicle: str, arguments: list[str], words: str) -> None:
    result = await replay(*arguments)
    assert result.exit_code == 2
    assert words in unframed(result.stderr)


def unframed(complaint: str) -> str:
    """The words in the frame, wherever its width has broken the lines."""
    return " ".join(complaint.replace("│", " ").split())


async def tried(tmp_path: Path, option: str, text: str, *arguments: str) -> dict[str, Any]:
    """The total of what would have been."""
    file = tmp_path / "tried.toml"
    file.write_text(text)
    result = await replay(option, str(file), "--json", *arguments)
    assert result.exit_code == 0, result.output
    sem, *_, total = json.loads(result.stdout)["instruments"]
    assert (sem["instrument"], total["instrument"]) == ("SEM", "total")
    return {"was": total["was"], "would_be": total["would_be"]}


async def test_half_the_price_is_half_the_bill(chronicle: str, tmp_path: Path) -> None:
    found = await tried(tmp_path, "--tariff", "rate_percent = 50")
    assert found["was"]["gross_cny"] == "482.00"
    assert found["would_be"] == found["was"] | {"gross_cny": "241.00", "net_cny": found["would_be"]["net_cny"]}
    # An hour was free, and the fund's 50.00 is used up all the same.
    assert found["was"]["net_cny"] == "312.00"
    assert found["would_be"]["net_cny"] == str(Decimal("241.00") - 60 - 50)


async def test_another_policy_sees_other_alerts(chronicle: str, tmp_path: Path) -> None:
    found = await tried(tmp_path, "--policy", "[instrument.SEM]\nactive_w = 2000\n", "--from", "2026-01-11")
    assert found["was"]["alerts"]["POWER_WITHOUT_SESSION"] == 1
    assert "POWER_WITHOUT_SESSION" not in found["would_be"]["alerts"]


async def test_what_would_have_been_is_shown_side_by_side(chronicle: str, tmp_path: Path) -> None:
    file = tmp_path / "free.json"
    file.write_text('{"instrument": {"SEM": {"rate_percent": 0}}}')
    shown = await replay("--tariff", str(file))
    rows = [line for line in shown.stdout.splitlines() if " was " in line or " would be " in line]
    assert [("482.00" in row, " 0.00" in row) for row in rows if "│" in row][-2:] == [(True, False), (False, True)]
    lines = (await replay("--tariff", str(file), "--csv")).stdout.splitlines()
    assert lines[0] == "instrument,measure,was,would_be"
    assert "total,gross_cny,482.00,0.00" in lines


async def test_a_file_that_cannot_be_used_is_named(chronicle: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    for text, words in [
        ("nigth_percent = 50", "unknown name: nigth_percent"),
        ("use_percent = -1", "use_percent"),
        ("=", "cannot be read"),
    ]:
        file.write_text(text)
        result = await replay("--tariff", str(file))
        assert result.exit_code == 2
        assert words in unframed(result.stderr)
