"""Tables as CSV that a spreadsheet opens as meant: with a byte order mark, and with no cell taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

from litestar import Response

CSV_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def guarded(cell: object) -> object:
    """A cell that no spreadsheet will run: text that looks like a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def csv_of(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as UTF-8 text with a byte order mark; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([guarded(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response[bytes]:
    """A table as a file to be saved under `name`, which is plain ASCII."""
    return Response(
        csv_of(header, rows),
        media_type=CSV_TYPE,
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )
