"""What is said where there is nothing to run."""

from pathlib import Path

import pytest

from twin.servers import ServersError
from twin.servers.packages import quiet
from twin.servers.programs import private_copy


async def test_without_apt_one_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServersError) as caught:
        await private_copy(tmp_path, quiet)
    message = str(caught.value)
    assert "no apt" in message
    assert "DATABASE_URL and MQTT_URL" in message
    assert "docker compose" in message
