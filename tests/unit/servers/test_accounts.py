"""Accounts of the broker, as Mosquitto's files hold them."""

import base64
import hashlib

from twin.servers import controller_account, hash_password, service_account, speaker_account
from twin.servers.accounts import acl_file, password_file


def test_a_hash_has_mosquittos_form_and_can_be_recomputed() -> None:
    empty, kind, iterations, salt, digest = hash_password("naïve 密码").split("$")
    assert (empty, kind) == ("", "7")
    expected = hashlib.pbkdf2_hmac("sha512", "naïve 密码".encode(), base64.b64decode(salt), int(iterations))
    assert base64.b64decode(digest) == expected


def test_the_same_password_gets_another_salt_each_time() -> None:
    assert hash_password("same") != hash_password("same")


def test_a_controller_speaks_for_itself_only() -> None:
    assert acl_file([controller_account("c1", "hash")]) == (
        "user c1\n"
        "topic write users/v1/c1/birth\n"
        "topic write users/v1/c1/death\n"
        "topic write users/v1/c1/reading\n"
        "topic write users/v1/c1/card\n"
        "topic write users/v1/c1/ack\n"
        "topic read users/v1/c1/command\n"
        "topic read users/v1/c1/grants\n"
    )


def test_the_prefix_is_a_setting() -> None:
    assert service_account("hash", "lab").publish == ("lab/#",)
    assert controller_account("c1", "hash", "lab").subscribe == ("lab/c1/command", "lab/c1/grants")


def test_the_speaker_cannot_command() -> None:
    speaker = speaker_account("hash")
    assert "users/v1/+/reading" in speaker.publish
    assert not [topic for topic in speaker.publish if topic.endswith(("command", "grants", "#"))]


def test_the_password_file_has_a_line_an_account() -> None:
    accounts = [controller_account("c1", "$7$101$a$b"), controller_account("c2", "$7$101$c$d")]
    assert password_file(accounts) == "c1:$7$101$a$b\nc2:$7$101$c$d\n"
