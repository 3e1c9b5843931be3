"""What a replay needs: the time by the controller's own clock, and a way to find what came late."""

from tortoise.migrations.migration import Migration as TortoiseMigration
from tortoise.migrations.operations import RunSQL

LOG = """
ALTER TABLE reading ADD COLUMN IF NOT EXISTS ts bigint;
CREATE INDEX IF NOT EXISTS reading_late ON reading (received) WHERE hist;
"""


class Migration(TortoiseMigration):
    """The controller's own time of a reading, in ms since the epoch, where that is not its `time`."""

    dependencies = [("models", "m0002_rules")]  # noqa: RUF012
    operations = [RunSQL(LOG)]  # noqa: RUF012
