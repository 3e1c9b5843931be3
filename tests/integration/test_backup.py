"""A backup is the whole database at one moment, and what is restored from it is the same and goes on."""

import asyncio
import os
import resource
import secrets
import shutil
import sys
from pathlib import Path

import asyncpg
import msgspec
import pytest
from typer.testing import CliRunner

from tests.brokers import BrokerInTest
from tests.pasts import INSTRUMENTS, NOW
from tests.sites import now_ms, until
from twin.backup.archive import check_file, read_archive, read_whole
from twin.backup.errors import BackupError
from twin.backup.restoring import open_target
from twin.backup.saving import save
from twin.cli import app
from twin.replay.extent import first_moment, last_moment
from twin.replay.records import Window
from twin.replay.verify import verify
from twin.servers import Postgres
from twin.servers.clients import client_programs
from twin.servers.homes import cache_folder
from twin.servers.packages import quiet
from twin.servers.programs import PRIVATE_POSTGRES
from twin.service import open_database, open_service
from twin.settings import Settings
from twin.state import LinkState
from twin.store import Store
from twin.store.log import open_log
from twin.store.rows import to_ms

SMALL_TABLES_OF_TIMESCALE = ("hypertable", "dimension", "dimension_slice", "chunk", "chunk_constraint")

pytestmark = pytest.mark.xdist_group("past")  # so that it is made once


@pytest.fixture
def database_url(bare_database_url: str) -> str:
    """A database without tables: what is restored brings its own."""
    return bare_database_url


@pytest.fixture(scope="module")
async def saved(past: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its backup."""
    file = tmp_path_factory.mktemp("saved") / "twin.backup"
    assert await save(past, file, cache_folder(), quiet) == file.stat().st_size
    return file


async def restored(file: Path, url: str) -> None:
    program = await client_programs(PRIVATE_POSTGRES, cache_folder(), quiet)
    async with open_target(url) as target:
        archive = await read_archive(file, program)
        await target.check(archive)
        await target.fill(archive, cache_folder(), quiet)


async def rows(url: str) -> dict[str, list[str]]:
    """All there is, as text, by table; and TimescaleDB's own account of its hypertables."""
    connection = await asyncpg.connect(url)
    try:
        names = [
            row["relname"]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            )
        ]
        tables = [*names, *(f"_timescaledb_catalog.{each}" for each in SMALL_TABLES_OF_TIMESCALE)]
        found = {each: await connection.fetch(f"SELECT t::text AS row FROM {each} AS t") for each in tables}  # noqa: S608
        sequences = await connection.fetch(
            "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
        )
        return {each: sorted(row["row"] for row in of) for each, of in found.items()} | {
            "sequences": sorted(str(dict(row)) for row in sequences)
        }
    finally:
        await connection.close()


async def twin(*arguments: str, said: str = "", **environment: str) -> tuple[int, str]:
    """Run the command line; its exit code and what it said."""
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, input=said, env=environment)
    return result.exit_code, result.output


async def twin_process(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run the command line as a process; its exit code and what it said."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from twin.cli import main; main()", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_what_is_restored_is_the_same_row_by_row_and_follows_from_its_log(
    past: str, saved: Path, database_url: str
) -> None:
    before = await rows(past)
    assert len(before["reading"]) > 5_000
    assert {len(before[each]) for each in ("session", "segment", "charge_line", "fact", "checkpoint", "person")} - {0}
    await restored(saved, database_url)
    after = await rows(database_url)
    assert after.keys() == before.keys()
    for table, contents in before.items():
        assert after[table] == contents, table
    async with open_log(database_url) as log:
        window = Window(await first_moment(log), await last_moment(log) + 1)
        found = await verify(log, window, set(log.codes.values()), quiet)
    assert not found.differences
    assert found.sessions > 0


async def test_a_service_goes_on_from_what_is_restored(
    past: str, saved: Path, database_url: str, broker: BrokerInTest
) -> None:
    await restored(saved, database_url)
    left_at = await number(past)
    settings = Settings(database_url=database_url, mqtt_url=broker.url)
    async with open_service(settings, lambda: to_ms(NOW) + 1000) as service:
        views = {view.instrument: view for view in service.views()}
        assert set(views) == set(INSTRUMENTS)
        assert {view.link for view in views.values()} == {LinkState.ONLINE.value}

        async def told() -> bool:
            return await number(database_url) > left_at

        await until(told)
    assert await number(past) == left_at


async def number(url: str) -> int:
    """Of the last event."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT number FROM writer"))
    finally:
        await connection.close()


async def test_a_hypertable_that_is_restored_takes_new_days(saved: Path, database_url: str) -> None:
    await restored(saved, database_url)
    connection = await asyncpg.connect(database_url)
    try:
        chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'reading'"
        before = await connection.fetchval(chunks)
        await connection.execute(
            "INSERT INTO reading (time, received, controller_id, boot, seq, power_w, hist) "
            "VALUES (now() + INTERVAL '30 years', now(), 1, 'b', 1, 0, false)"
        )
        assert await connection.fetchval(chunks) == before + 1
    finally:
        await connection.close()


async def test_a_backup_is_made_beside_a_running_service(
    database_url: str, saved: Path, broker: BrokerInTest, tmp_path: Path
) -> None:
    await restored(saved, database_url)
    file = tmp_path / "running.backup"
    settings = Settings(database_url=database_url, mqtt_url=broker.url)
    async with open_service(settings, now_ms):
        code, said = await twin("backup", str(file), DATABASE_URL=database_url)
        assert code == 0, said
        assert file.name in said
    check_file(file)
    program = await client_programs(PRIVATE_POSTGRES, cache_folder(), quiet)
    await read_whole(await read_archive(file, program), program, quiet)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


async def test_nothing_is_restored_while_a_service_writes(saved: Path, database_url: str) -> None:
    store = Store(database_url)
    async with open_database(database_url):
        await store.open()
        try:
            code, said = await twin("restore", str(saved), "--replace", "--yes", DATABASE_URL=database_url)
        finally:
            await store.close()
    assert code == 1
    assert "stop it first" in said


async def test_what_is_there_is_only_destroyed_when_asked_to(saved: Path, past: str, database_url: str) -> None:
    await restored(saved, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE person SET name = 'changed'")
    await connection.close()
    changed = await rows(database_url)

    code, said = await twin("restore", str(saved), DATABASE_URL=database_url)
    assert (code, "not empty" in said, "--replace" in said) == (1, True, True)
    code, said = await twin("restore", str(saved), "--replace", said="n\n", DATABASE_URL=database_url)
    assert code == 1
    assert "5 twins" in said, "it says what would be destroyed"
    code, said = await twin("restore", str(saved), "--replace", DATABASE_URL=database_url)
    assert code == 1, "nobody there to ask"
    assert await rows(database_url) == changed

    code, said = await twin("restore", str(saved), "--replace", said="y\n", DATABASE_URL=database_url)
    assert code == 0, said
    assert "5 twins" in said
    assert await rows(database_url) == await rows(past)


async def test_a_database_of_something_else_is_left_alone(saved: Path, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE pears (id int); INSERT INTO pears VALUES (1)")
    code, said = await twin("restore", str(saved), "--replace", "--yes", DATABASE_URL=database_url)
    assert (code, "something else (pears)" in said) == (1, True)
    assert await connection.fetchval("SELECT count(*) FROM pears") == 1
    await connection.close()


async def test_a_file_that_cannot_be_restored_is_refused_before_anything_is_touched(
    saved: Path, database_url: str, tmp_path: Path, postgres: Postgres
) -> None:
    whole = saved.read_bytes()
    half, text = tmp_path / "half.backup", tmp_path / "text.backup"
    half.write_bytes(whole[: len(whole) // 2])
    text.write_text("CREATE TABLE a (b int);")
    other = await postgres.create_database("other")
    connection = await asyncpg.connect(other)
    await connection.execute("CREATE TABLE pears (id int)")
    await connection.close()
    await twin_dump(other, tmp_path / "other.backup")
    await postgres.drop_database("other")
    expected = {
        tmp_path / "none.backup": "No such file",
        tmp_path: "directory",
        text: "is no backup",
        half: "is damaged",
        tmp_path / "other.backup": "another program",
    }
    for file, complaint in expected.items():
        code, said = await twin("restore", str(file), DATABASE_URL=database_url)
        assert code == 1, said
        assert complaint in said
    assert "reading" not in await rows(database_url)


async def twin_dump(url: str, file: Path) -> None:
    """A dump by hand of what is not the twin's."""
    program = await client_programs(PRIVATE_POSTGRES, cache_folder(), quiet)
    command = [str(program.path / "pg_dump"), "--format=custom", f"--file={file}", url]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def test_a_backup_of_a_newer_version_is_refused(saved: Path, database_url: str, tmp_path: Path) -> None:
    await restored(saved, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('models', 'm9999_later', now())"
    )
    await connection.close()
    file = tmp_path / "later.backup"
    await save(database_url, file, cache_folder(), quiet)
    code, said = await twin("restore", str(file), "--replace", "--yes", DATABASE_URL=database_url)
    assert (code, "newer version of this program" in said, "m9999_later" in said) == (1, True, True)


async def test_another_version_of_timescaledb_is_refused(saved: Path, database_url: str) -> None:
    program = await client_programs(PRIVATE_POSTGRES, cache_folder(), quiet)
    archive = await read_archive(saved, program)
    async with open_target(database_url) as target:
        with pytest.raises(BackupError, match=r"needs TimescaleDB 1\.0\.0; this database has "):
            await target.check(msgspec.structs.replace(archive, timescaledb="1.0.0"))
        with pytest.raises(BackupError, match="PostgreSQL 99"):
            await target.check(msgspec.structs.replace(archive, postgres=99))


async def test_a_disk_that_is_full_leaves_nothing_behind(past: str, tmp_path: Path) -> None:
    file = tmp_path / "twin.backup"
    file.write_text("an older one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, limits[1]))
    try:
        with pytest.raises(BackupError, match=r"was not written"):
            await save(past, file, cache_folder(), quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["twin.backup"]
    assert file.read_text() == "an older one"


async def test_an_empty_database_or_a_folder_that_is_not_there_is_told(database_url: str, tmp_path: Path) -> None:
    code, said = await twin("backup", str(tmp_path / "a.backup"), DATABASE_URL=database_url)
    assert (code, "nothing to back up" in said) == (1, True)
    code, said = await twin("backup", str(tmp_path / "no" / "a.backup"), DATABASE_URL=database_url)
    assert (code, "no folder" in said) == (1, True)


async def test_an_account_that_is_no_superuser_backs_up_and_gets_back_what_is_its_own(
    saved: Path, postgres: Postgres, tmp_path: Path
) -> None:
    name, password = f"owned_{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    url = await postgres.create_database(name)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            f"CREATE ROLE {name} LOGIN PASSWORD '{password}'; ALTER DATABASE {name} OWNER TO {name}"
        )
        await restored(saved, url)
        owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public' OR tablename LIKE '_hyper_%'"
        assert [row["tableowner"] for row in await connection.fetch(owners)] == [name]
        theirs = url.replace(url[url.index("//") + 2 : url.index("@")], f"{name}:{password}")
        file = tmp_path / "theirs.backup"
        await save(theirs, file, cache_folder(), quiet)
        code, said = await twin("restore", str(file), "--replace", "--yes", DATABASE_URL=theirs)
        assert (code, "superuser" in said) == (1, True)
        assert await number(url) > 0, "and nothing was touched"
        await restored(file, url)
    finally:
        await connection.close()
        await postgres.drop_database(name)
        admin = await asyncpg.connect(postgres.url)
        await admin.execute(f"DROP ROLE IF EXISTS {name}")
        await admin.close()


async def test_without_a_given_database_it_is_that_of_the_data_folder(
    saved: Path, servers_home: Path, tmp_path: Path
) -> None:
    shutil.copy(saved, tmp_path / "one.backup")
    home = {"TWIN_HOME": str(servers_home), "DATABASE_URL": ""}
    code, said = await twin_process("backup", str(tmp_path / "none.backup"), **home)
    assert (code, "Nothing to back up" in said) == (1, True)
    code, said = await twin_process("restore", str(tmp_path / "one.backup"), "--demo", **home)
    assert code == 0, said
    code, said = await twin_process("backup", str(tmp_path / "two.backup"), "--demo", **home)
    assert code == 0, said
    program = await client_programs(PRIVATE_POSTGRES, cache_folder(), quiet)
    one, two = [await read_archive(tmp_path / f"{each}.backup", program) for each in ("one", "two")]
    assert (one.tables, one.migrations, one.contents) == (two.tables, two.migrations, two.contents)
