"""What a restart must know of the site as a whole."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

SITE = "ALTER TABLE writer ADD COLUMN IF NOT EXISTS version int, ADD COLUMN IF NOT EXISTS site bytea;"


class Migration(TortoiseMigration):
    """The site's alert and the broker, as of the last batch; null where none has been stored since."""

    dependencies = [("models", "m0005_digests")]  # noqa: RUF012
    operations = [RunSQL(SITE)]  # noqa: RUF012
