"""Who may do what: the table, row by row."""

import pytest

from tests.unit.web.desk import PEOPLE
from twin.interface import Person
from web import rights
from web.problems import Code, Problem
from web.rights import Deed

EVERYTHING = set(Deed)
WATCHING = {Deed.STOP, Deed.SEE_ALERTS, Deed.ACKNOWLEDGE}


@pytest.mark.parametrize(
    ("person", "instrument", "deeds"),
    [
        (None, "SEM-000", set()),
        (PEOPLE["li"], "SEM-000", set()),
        (PEOPLE["li"], None, set()),
        (PEOPLE["keeper"], "SEM-000", EVERYTHING),
        (PEOPLE["keeper"], "FUR-002", set()),
        (PEOPLE["keeper"], None, set()),
        (PEOPLE["manager"], "SEM-000", EVERYTHING),
        (PEOPLE["manager"], None, EVERYTHING),
        (Person("root", "administrator", "Root"), None, EVERYTHING),
        (PEOPLE["guard"], "SEM-000", WATCHING),
        (PEOPLE["guard"], None, WATCHING),
        (PEOPLE["dean"], "SEM-000", {Deed.SEE_SESSIONS}),
        (Person("x", "no such role", "X"), "SEM-000", set()),
    ],
)
def test_who_may_do_what(person: Person | None, instrument: str | None, deeds: set[Deed]) -> None:
    assert {deed for deed in Deed if rights.may(person, deed, instrument)} == deeds


def test_where_somebody_may_do_something() -> None:
    assert rights.where(PEOPLE["manager"], Deed.SEE_ALERTS) is None
    assert rights.where(PEOPLE["keeper"], Deed.SEE_ALERTS) == frozenset({"SEM-000", "TEM-001"})
    assert rights.where(PEOPLE["li"], Deed.SEE_ALERTS) == frozenset()
    assert rights.where(None, Deed.SEE_ALERTS) == frozenset()


def test_a_refusal_says_what_is_not_allowed_and_where() -> None:
    with pytest.raises(Problem) as refused:
        rights.demand(PEOPLE["guard"], Deed.SILENCE, "SEM-000")
    assert (refused.value.code, refused.value.detail) == (Code.FORBIDDEN, "You may not silence alerts at SEM-000.")
    rights.demand(PEOPLE["keeper"], Deed.SILENCE, "SEM-000")
