from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("marketplace", "0013_no_truncate")]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="expires_at",
            field=models.DateTimeField(blank=True, help_text="empty: only where the platform made it", null=True),
        ),
        migrations.AddField(model_name="apitoken", name="read_only", field=models.BooleanField(default=False)),
    ]
