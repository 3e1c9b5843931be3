"""What a start in seconds needs: to see without reading it that a fact is as it was logged."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

LOG = """
ALTER TABLE fact ADD COLUMN IF NOT EXISTS digest bytea;
"""


class Migration(TortoiseMigration):
    """The digest of a logged fact; null where it was logged before there were any: such a fact is read."""

    dependencies = [("models", "m0004_grants")]  # noqa: RUF012
    operations = [RunSQL(LOG)]  # noqa: RUF012
