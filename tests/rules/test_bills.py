"""Each table of bills comes true."""

from pathlib import Path

import pytest

from tests.rules.bills import BillTable, Cashier, bill_tables
from twin.rules.billing import LineCause
from twin.tariffs import Kind, Payer

ALL = list(bill_tables(Path(__file__).parent))
EXAMPLES = {
    "100 min of use = 200.00",
    "100 min 1 s = 202.00",
    "30 min use + 30 min idle at idle 50% = 90.00",
    "90 min from 21:30 with a 50% band from 22:00 = 30 x 2.00 + 60 x 1.00 = 120.00",
    "10 min with min_minutes 30 = 60.00",
    "200.00 gross with a 40% fund that has 50.00 left = 150.00 net",
}


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.title)
def test_bill(table: BillTable) -> None:
    cashier = Cashier(table)
    for number, row in enumerate(table.rows, 1):
        shown = cashier.shown(row)
        expected = {name: cell for name, cell in row.items() if cell or name == "charged as"}
        assert {name: shown[name] for name in expected} == expected, f"row {number}"


def test_every_table_names_its_rule_and_has_rows() -> None:
    assert len(ALL) > 50
    assert [table.title for table in ALL if not (table.rules and table.rows)] == []
    assert len({table.title for table in ALL}) == len(ALL)


def test_every_example_of_the_rules_has_a_table() -> None:
    rules = [rule.removeprefix("Examples (rate 120.00/h): ") for table in ALL for rule in table.rules]
    assert set(rules) >= EXAMPLES


def test_every_kind_payer_and_cause_of_a_line_is_in_a_table() -> None:
    cells = [cell for table in ALL for row in table.rows for cell in row.values()]
    words = {word.strip(",") for cell in cells for word in cell.split()}
    assert set(Kind) | set(Payer) <= words
    shown = {LineCause.SESSION: "net", LineCause.CORRECTION: "line", LineCause.NO_SHOW: "no-show"}
    columns = {name for table in ALL for row in table.rows for name, cell in row.items() if cell != "none"}
    assert {shown[cause] for cause in LineCause} <= columns
