import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

_INDEXES = {
    'procurement_auctionevent_auction_id_60e6b97d': 'auction_id',
    'procurement_auctionevent_participant_id_c9f0894d': 'participant_id',
    'procurement_auctionevent_person_id_a51b5247': 'person_id',
}


class Migration(migrations.Migration):
    """Only the indexes go, and no event is kept waiting: by itself Django would drop the foreign keys and add them again,
    which locks the log while every event of it is checked."""

    atomic = False  # for CONCURRENTLY

    dependencies = [
        ('procurement', '0016_price_criteria'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    [f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"'],
                    # One that was broken off is there, but not valid.
                    [
                        f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"',
                        f'CREATE INDEX CONCURRENTLY "{name}" ON "procurement_auctionevent" ("{column}")',
                    ],
                )
                for name, column in _INDEXES.items()
            ],
            state_operations=[
                migrations.AlterField(
                    model_name='auctionevent',
                    name='auction',
                    field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='procurement.auction'),
                ),
                migrations.AlterField(
                    model_name='auctionevent',
                    name='participant',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='procurement.auctionparticipant'),
                ),
                migrations.AlterField(
                    model_name='auctionevent',
                    name='person',
                    field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
                ),
            ],
        ),
    ]
