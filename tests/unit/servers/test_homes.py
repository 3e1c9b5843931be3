"""Data folders: who may use which, and who may look inside."""

import subprocess
import sys
from pathlib import Path

import pytest

from twin.servers import ServersError, claim_home
from twin.servers.homes import ServerUser, base_folder, check_reachable, hold_home, write_secret

_HOLD = """
import sys
from pathlib import Path
from twin.servers import claim_home
with claim_home("demo", Path(sys.argv[1])) as home:
    print(home.name, flush=True)
    sys.stdin.read()
"""


def test_a_taken_home_leads_to_the_next_and_is_free_again_afterwards(tmp_path: Path) -> None:
    with claim_home("demo", tmp_path) as first, claim_home("demo", tmp_path) as second:
        assert (first.name, second.name) == ("demo", "demo-2")
    with claim_home("demo", tmp_path) as again:
        assert again == first


def test_a_home_that_is_wanted_by_name_is_refused_while_it_is_taken(tmp_path: Path) -> None:
    with (
        claim_home("site", tmp_path),
        pytest.raises(ServersError, match="stop the service"),
        hold_home("site", tmp_path),
    ):
        pass
    with hold_home("site", tmp_path) as home, claim_home("site", tmp_path) as other:
        assert (home.name, other.name) == ("site", "site-2")


def test_a_crash_gives_the_home_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603
        assert holder.stdout is not None
        assert holder.stdout.readline() == "demo\n"
        with claim_home("demo", tmp_path) as other:
            assert other.name == "demo-2"
        holder.kill()
    with claim_home("demo", tmp_path) as home:
        assert home.name == "demo"


def test_twin_home_overrides_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_HOME", str(tmp_path / "a b"))
    assert base_folder() == tmp_path / "a b"


def test_a_secret_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("old")
    secret.chmod(0o644)
    write_secret(secret, "new")
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [secret]


def test_a_folder_the_server_cannot_reach_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "home").mkdir(parents=True)
    closed.chmod(0o700)
    stranger = ServerUser("nobody", 65534, 65534)
    with pytest.raises(ServersError, match="TWIN_HOME") as caught:
        check_reachable(closed / "home", stranger)
    assert "cannot be entered by the user 'nobody'" in str(caught.value)
