from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # The log is written to while this index is made.
    atomic = False

    dependencies = [
        ("procurement", "0018_offer_requests"),
    ]

    operations = [
        # What an attempt that was broken off has left is no index, but stands in the way of one.
        migrations.RunSQL(["DROP INDEX CONCURRENTLY IF EXISTS auction_limits"], migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="auctionevent",
            index=models.Index(
                condition=models.Q(("kind", "limit")), fields=["auction", "number"], name="auction_limits"
            ),
        ),
    ]
