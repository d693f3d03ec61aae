from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The log is written to while this index is made.
    atomic = False

    dependencies = [
        ("procurement", "0021_hear_after"),
    ]

    operations = [
        # What an attempt that was broken off has left is no index, but stands in the way of one.
        migrations.RunSQL(["DROP INDEX CONCURRENTLY IF EXISTS auction_limits_and_drops"], migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="auctionevent",
            index=models.Index(
                condition=models.Q(("kind__in", ["limit", "limit_dropped"])),
                fields=["auction", "number"],
                name="auction_limits_and_drops",
            ),
        ),
        # A second attempt finds it gone.
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.RemoveIndex(model_name="auctionevent", name="auction_limits")],
            database_operations=[
                migrations.RunSQL(["DROP INDEX CONCURRENTLY IF EXISTS auction_limits"], migrations.RunSQL.noop)
            ],
        ),
    ]
