from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("analytics", "0011_lead_requests")]

    operations = [
        migrations.AddField(
            model_name="book",
            name="empty_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="when the nightly run last found no purchases here",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="import",
            name="tries",
            field=models.PositiveIntegerField(
                default=0, db_default=0, help_text="how often a worker took it in the present state"
            ),
        ),
    ]
