"""What the grants of a controller are signed with."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

KEYS = "ALTER TABLE controller ADD COLUMN IF NOT EXISTS grant_key varchar(64);"


class Migration(TortoiseMigration):
    """A key for each controller; it is made when it is first asked for."""

    dependencies = [("models", "m0003_replay")]  # noqa: RUF012
    operations = [RunSQL(KEYS)]  # noqa: RUF012
