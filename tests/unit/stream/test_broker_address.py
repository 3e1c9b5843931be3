"""A broker's address: read from a URL, and silent about the password."""

import pytest

from twin.stream.broker import BrokerAddress, parse_broker


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://host", BrokerAddress("host", 1883, None, None)),
        ("mqtt://host:1884", BrokerAddress("host", 1884, None, None)),
        ("mqtts://host", BrokerAddress("host", 8883, None, None, tls=True)),
        ("mqtts://host:1", BrokerAddress("host", 1, None, None, tls=True)),
        ("mqtt://me:secret@127.0.0.1:1", BrokerAddress("127.0.0.1", 1, "me", "secret")),
        ("mqtt://me@host", BrokerAddress("host", 1883, "me", None)),
        ("mqtt://a%2Fb:p%40%3A%2F%E5%AF%86@host", BrokerAddress("host", 1883, "a/b", "p@:/密")),
        ("mqtt://[::1]:1885", BrokerAddress("::1", 1885, None, None)),
    ],
)
def test_urls(url: str, address: BrokerAddress) -> None:
    assert parse_broker(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:1883",
        "http://me:secret@host",
        "mqtt://",
        "mqtt://me:secret@",
        "mqtt://me:secret@host:99999",
        "mqtt://me:secret@host:port",
        "mqtt://me:secret/more@host",
        "mqtt://me:secret#more@host",
        "mqtt://me:secret@[::1",
        "mqtt://me:secret\u2100@host",
    ],
)
def test_what_is_wrong_is_told_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="MQTT_URL must look like mqtt://") as caught:
        parse_broker(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_password_is_not_in_the_representation() -> None:
    address = parse_broker("mqtt://me:secret@host")
    assert "secret" not in f"{address} {address!r}"
