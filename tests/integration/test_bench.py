"""The benchmarks on a few controllers for a few seconds: they run to their end, count everything and leave nothing."""

import tempfile
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from benchmarks import ingest, latency, restore
from benchmarks.cli import app
from benchmarks.processes import BenchError, child
from benchmarks.subjects import Subject, until_ready

SECONDS = 3.0


@pytest.fixture(autouse=True)
def temporary(servers_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made while a test runs: this test's alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(servers_home))
    return servers_home


def measured(temporary: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--seconds", str(SECONDS), "--json"])
    assert result.exit_code == 0, result.output
    assert list(temporary.iterdir()) == [], "nothing is left behind"
    return result.stdout


def test_ingest_counts_every_reading(temporary: Path) -> None:
    told = measured(temporary, "ingest", "--controllers", "40", "--rate", "600", "--rounds", "1")
    result = msgspec.json.decode(told, type=ingest.Result)
    assert [turn.subject for turn in result.turns] == list(Subject)
    for turn in result.turns:
        assert turn.published > 600
        assert turn.rate > 0
        assert turn.cpu_us["subject"] > 0
    assert [turn.duplicated for turn in result.turns] == [0, 0, None, None]
    assert result.rates.keys() == set(Subject)
    assert (result.lost, result.duplicated) == (0, 0)
    assert result.ratio == pytest.approx(result.rates[Subject.SERVICE] / result.rates[Subject.FLOOR], abs=0.001)


def test_latency_sees_every_reading(temporary: Path) -> None:
    told = measured(temporary, "latency", "--controllers", "40", "--rate", "100", "--warm-up", "1.5")
    result = msgspec.json.decode(told, type=latency.Result)
    assert result.published > 100
    assert (result.lost, result.duplicated, result.unseen) == (0, 0, 0)
    assert 0 < result.measured < result.published, "what came while it warmed up does not count"
    assert 0 < result.p50_ms <= result.p99_ms <= result.max_ms
    assert result.warm_up_max_ms > 0


def test_latency_of_nothing_is_refused() -> None:
    refused = CliRunner().invoke(app, ["latency", "--seconds", "5", "--warm-up", "5"])
    assert refused.exit_code == 2
    assert "nothing is left to measure" in refused.output


def test_restore_brings_every_twin_back(temporary: Path) -> None:
    told = CliRunner().invoke(app, ["restore", "--twins", "150", "--json"])
    assert told.exit_code == 0, told.output
    assert list(temporary.iterdir()) == [], "nothing is left behind"
    result = msgspec.json.decode(told.stdout, type=restore.Result)
    assert result.site.twins == 150
    assert result.site.open_sessions > 0
    assert result.site.bookings > 50
    assert 400 < result.site.checkpoint_bytes < 4_000
    assert 0 < result.ready_s <= result.abreast_s
    assert 50 < result.ready_mb <= result.abreast_mb


async def test_a_program_that_ends_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)^hasty ended with code 3:.*no broker"):
        async with child("hasty", ["-c", "print('no broker'); raise SystemExit(3)"], {}, tmp_path) as hasty:
            await until_ready(hasty)
