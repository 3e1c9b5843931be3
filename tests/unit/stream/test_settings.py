"""Settings: read from the environment, and what is said when one is wrong."""

import pytest

from twin.settings import Settings, SettingsError, read_settings, variable


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


def test_every_setting_has_its_variable() -> None:
    settings = read_settings(
        {
            "DATABASE_URL": "postgresql://me:secret@db/twin",
            "MQTT_URL": "mqtt://me:secret@mq",
            "TWIN_HTTP_HOST": "127.0.0.2",
            "TWIN_HTTP_PORT": "0",
            "TWIN_TIMEZONE": "UTC",
            "TWIN_TOPIC_PREFIX": "ustb/lab",
            "TWIN_LOG_FORMAT": "json",
            "TWIN_LOG_LEVEL": "error",
            "HOME": "/nowhere",
        }
    )
    assert settings.database_url == "postgresql://me:secret@db/twin"
    assert settings.mqtt_url == "mqtt://me:secret@mq"
    assert (settings.http_host, settings.http_port) == ("127.0.0.2", 0)
    assert (settings.timezone, settings.topic_prefix) == ("UTC", "ustb/lab")
    assert (settings.log_format, settings.log_level) == ("json", "error")
    assert "secret" not in f"{settings} {settings!r}"


def test_a_variable_that_is_empty_is_not_set() -> None:
    assert read_settings({"DATABASE_URL": "", "TWIN_TIMEZONE": ""}) == Settings()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("http_port", "http", "http_port"),
        ("http_port", "70000", "http_port"),
        ("http_port", "-1", "http_port"),
        ("timezone", "Beijing", "no such zone"),
        ("timezone", "../etc", "no such zone"),
        ("topic_prefix", "users/+", "topic_prefix"),
        ("topic_prefix", "/users", "topic_prefix"),
        ("topic_prefix", "users/", "topic_prefix"),
        ("log_format", "xml", "log_format"),
        ("log_level", "loud", "log_level"),
        ("mqtt_url", "mqtt://me:secret/@host", "must look like mqtt://"),
        ("mqtt_url", "https://me:secret@host", "must look like mqtt://"),
    ],
)
def test_what_is_wrong_names_the_variable(field: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({variable(field): value})
    assert said in str(caught.value)
    assert variable(field) in str(caught.value)
    assert "secret" not in str(caught.value)
