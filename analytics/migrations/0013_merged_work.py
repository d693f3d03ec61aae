from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0012_tries_of_imports"),
    ]

    operations = [
        migrations.AddField(
            model_name="accountmerge",
            name="moved",
            field=models.JSONField(default=dict, help_text="ids by kind"),
        ),
        migrations.AlterField(
            model_name="accountevent",
            name="what",
            field=models.CharField(
                choices=[
                    ("note", "Note"),
                    ("handed_over", "Handed over"),
                    ("strategic", "Marked as strategic"),
                    ("not_strategic", "No longer strategic"),
                    ("merged", "Merged"),
                    ("parted", "Parted again"),
                ],
                max_length=14,
            ),
        ),
        migrations.AlterField(
            model_name="card",
            name="closing",
            field=models.CharField(
                blank=True,
                choices=[
                    ("old", "Nobody acted in time"),
                    ("bought", "The account bought before anybody acted"),
                    ("faded", "The newest scores no longer say so"),
                    ("merged", "Its customer was merged with another"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="cardevent",
            name="what",
            field=models.CharField(
                choices=[
                    ("made", "Made from the scores"),
                    ("renewed", "Came back"),
                    ("accepted", "Accepted"),
                    ("snoozed", "Snoozed"),
                    ("dismissed", "Dismissed"),
                    ("note", "Note"),
                    ("call", "Call"),
                    ("undone", "Taken back"),
                    ("expired", "Expired"),
                    ("handed_over", "Handed over"),
                    ("moved", "Moved with its customer"),
                    ("measured", "Outcome measured"),
                ],
                max_length=12,
            ),
        ),
        migrations.AlterField(
            model_name="opportunity",
            name="lost_because",
            field=models.CharField(
                blank=True,
                choices=[
                    ("price", "Price"),
                    ("competitor", "Went to a competitor"),
                    ("no_need", "No need"),
                    ("no_budget", "No budget"),
                    ("no_answer", "No answer"),
                    ("postponed", "Put off"),
                    ("range", "We do not have what they need"),
                    ("closed_down", "The company has closed down"),
                    ("double", "The same sale goes on elsewhere"),
                ],
                max_length=12,
                verbose_name="why it was lost",
            ),
        ),
    ]
