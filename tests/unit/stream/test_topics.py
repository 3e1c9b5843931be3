"""Topic names of the wire contract, and what is not one of them."""

import pytest

from twin.stream.topics import Topics, Upward, is_controller_id

TOPICS = Topics()


@pytest.mark.parametrize("kind", list(Upward))
def test_upward_topics_name_controller_and_kind(kind: Upward) -> None:
    assert TOPICS.source(f"users/v1/sem-01/{kind.value}") == ("sem-01", kind)
    assert f"users/v1/+/{kind.value}" in TOPICS.subscriptions()


@pytest.mark.parametrize(
    "topic",
    [
        "users/v1/sem-01/command",
        "users/v1/sem-01/grants",
        "users/v1/sem-01",
        "users/v1/sem-01/reading/more",
        "users/v1//reading",
        "users/v1/twin/reading",
        "users/v1/sem 01/reading",
        "users/v1/sem.01/reading",
        "users/v1/仪器/reading",
        f"users/v1/{'x' * 65}/reading",
        "users/v2/sem-01/reading",
        "x/users/v1/sem-01/reading",
        "reading",
        "",
    ],
)
def test_no_other_topic_is_one(topic: str) -> None:
    assert TOPICS.source(topic) is None


@pytest.mark.parametrize("prefix", ["users/v1", "ustb", "a/b/c", "users.v1"])
def test_the_prefix_is_a_setting(prefix: str) -> None:
    topics = Topics(prefix)
    assert topics.source(f"{prefix}/c1/ack") == ("c1", Upward.ACK)
    assert topics.command("c1") == f"{prefix}/c1/command"
    assert topics.public_twin("SEM-01") == f"{prefix}/twin/SEM-01"
    assert all(each.startswith(f"{prefix}/+/") for each in topics.subscriptions() if each != topics.mark())
    assert topics.source(topics.mark()) is None


def test_a_dot_in_the_prefix_stands_for_itself() -> None:
    assert Topics("users.v1").source("usersXv1/c1/ack") is None


@pytest.mark.parametrize("name", ["a", "A-Z_09", "x" * 64])
def test_controller_ids(name: str) -> None:
    assert is_controller_id(name)


@pytest.mark.parametrize("name", ["", "twin", "x" * 65, "a/b", "a+", "a#", "a\n", "a.b", "ä"])
def test_not_controller_ids(name: str) -> None:
    assert not is_controller_id(name)
