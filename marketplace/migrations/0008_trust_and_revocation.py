import hashlib

import django.db.models.deletion
from asn1crypto import x509
from cryptography import x509 as verifying
from cryptography.exceptions import InvalidSignature
from django.conf import settings
from django.db import migrations, models


def describe_what_is_kept(apps, schema_editor):
    """Names, keys and hashes of the certificates and lists that are there. The lists are read whole until the next."""
    certificates = apps.get_model("marketplace", "TrustedCertificate")
    lists = apps.get_model("marketplace", "RevocationList")
    by_name = {}
    for row in certificates.objects.all():
        der = bytes(row.der)
        parts = x509.Certificate.load(der)["tbs_certificate"]
        row.name_sha256 = _sha256(parts["subject"].dump())
        row.key_sha256 = _sha256(parts["subject_public_key_info"].dump())
        row.save(update_fields=["name_sha256", "key_sha256"])
        by_name.setdefault(row.name_sha256, []).append((row.key_sha256, der))
    for row in lists.objects.all():
        der = bytes(row.der)
        crl = verifying.load_der_x509_crl(der)
        row.issuer_name, row.sha256, row.size, row.count = crl.issuer.public_bytes(), _sha256(der), len(der), len(crl)
        for key, certificate in by_name.get(row.issuer_sha256, []):
            if _signed(crl, certificate):
                row.issuer_key_sha256 = key
        row.save(update_fields=["issuer_name", "sha256", "size", "count", "issuer_key_sha256"])


def _sha256(encoded):
    return hashlib.sha256(encoded).hexdigest()


def _signed(crl, certificate):
    try:
        return crl.is_signature_valid(verifying.load_der_x509_certificate(certificate).public_key())
    except (InvalidSignature, ValueError, TypeError):
        return False


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace', '0007_committee_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='OcspAnswer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('serial', models.CharField(help_text='upper-case hexadecimal', max_length=64)),
                ('not_after', models.DateTimeField(help_text='of the certificate: nobody asks after it')),
                ('der', models.BinaryField(default=b'')),
                ('status', models.CharField(blank=True, default='', help_text='good, revoked or unknown', max_length=8)),
                ('this_update', models.DateTimeField(blank=True, null=True)),
                ('next_update', models.DateTimeField(blank=True, null=True)),
                ('fetched_at', models.DateTimeField(blank=True, null=True)),
                ('wanted_at', models.DateTimeField(help_text='when it last mattered to somebody')),
            ],
        ),
        migrations.CreateModel(
            name='RevocationSource',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('crl', 'Revocation list (CRL)'), ('ocsp', 'Answers by certificate (OCSP)')], max_length=4)),
                ('url', models.CharField(max_length=500)),
                ('enabled', models.BooleanField(default=True)),
                ('added_at', models.DateTimeField()),
                ('next_at', models.DateTimeField(help_text='when it is asked again')),
                ('tried_at', models.DateTimeField(blank=True, null=True)),
                ('fetched_at', models.DateTimeField(blank=True, help_text='when it last answered as it should', null=True)),
                ('leased_until', models.DateTimeField(blank=True, help_text='somebody is asking it', null=True)),
                ('failures', models.PositiveIntegerField(default=0, help_text='in a row')),
                ('error', models.CharField(blank=True, default='', max_length=300)),
                ('size', models.PositiveIntegerField(blank=True, help_text='bytes of the last answer', null=True)),
                ('etag', models.CharField(blank=True, default='', max_length=200)),
                ('last_modified', models.CharField(blank=True, default='', max_length=100)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='RevokedEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('serial', models.CharField(help_text='upper-case hexadecimal', max_length=64)),
                ('revoked_at', models.DateTimeField()),
                ('reason', models.CharField(blank=True, help_text='as RFC 5280 names it', max_length=24)),
            ],
        ),
        migrations.AddField(
            model_name='certificate',
            name='reminded_days',
            field=models.PositiveSmallIntegerField(blank=True, help_text='how many days before its end its owner was told last', null=True),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='count',
            field=models.PositiveIntegerField(default=0, help_text='revoked certificates in it'),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='due_told_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='is_current',
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='is_indexed',
            field=models.BooleanField(default=False, help_text='its entries are rows; else it is read whole'),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='issuer_key_sha256',
            field=models.CharField(default='', help_text='of the key that signed it (SPKI, DER)', max_length=64),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='issuer_name',
            field=models.BinaryField(default=b'', help_text='DER'),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='loaded_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='overdue_told_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='scope',
            field=models.CharField(blank=True, default='', help_text='empty for a complete list; else what tells its parts apart', max_length=64),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='sha256',
            field=models.CharField(db_index=True, default='', help_text='of the DER', max_length=64),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='size',
            field=models.PositiveIntegerField(default=0, help_text='bytes of the DER'),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='superseded_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='disabled_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='disabled_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='disabled_reason',
            field=models.CharField(blank=True, default='', max_length=300),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='key_sha256',
            field=models.CharField(default='', help_text='of the SubjectPublicKeyInfo, DER', max_length=64),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='name_sha256',
            field=models.CharField(db_index=True, default='', help_text="of the subject's DER name", max_length=64),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='proposed_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='trustedcertificate',
            name='proposed_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='revocationlist',
            name='der',
            field=models.BinaryField(help_text='empty once an older version is no longer kept'),
        ),
        migrations.AlterField(
            model_name='revocationlist',
            name='issuer_sha256',
            field=models.CharField(db_index=True, help_text="SHA-256 of the issuer's DER name", max_length=64),
        ),
        migrations.AlterField(
            model_name='trustedcertificate',
            name='kind',
            field=models.CharField(choices=[('anchor', 'Trust anchor'), ('intermediate', 'Intermediate authority'), ('tsa', 'Time-stamping authority')], max_length=12),
        ),
        migrations.AlterField(
            model_name='trustedcertificate',
            name='note',
            field=models.CharField(blank=True, help_text='why it is trusted', max_length=300),
        ),
        migrations.AddIndex(
            model_name='certificate',
            index=models.Index(fields=['not_after', 'id'], name='certificate_by_end'),
        ),
        migrations.AddConstraint(
            model_name='trustedcertificate',
            constraint=models.CheckConstraint(condition=models.Q(('proposed_at__isnull', True), ('enabled', False), _connector='OR'), name='trusted_only_when_confirmed'),
        ),
        migrations.AddField(
            model_name='ocspanswer',
            name='authority',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ocsp_answers', to='marketplace.trustedcertificate'),
        ),
        migrations.AddField(
            model_name='revocationsource',
            name='added_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='revocationsource',
            name='authority',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sources', to='marketplace.trustedcertificate'),
        ),
        migrations.AddField(
            model_name='revocationlist',
            name='source',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='lists', to='marketplace.revocationsource'),
        ),
        migrations.AddIndex(
            model_name='revocationlist',
            index=models.Index(condition=models.Q(('is_current', True)), fields=['next_update'], name='revocation_list_by_due'),
        ),
        migrations.AddConstraint(
            model_name='revocationlist',
            constraint=models.UniqueConstraint(condition=models.Q(('is_current', True)), fields=('issuer_sha256', 'issuer_key_sha256', 'scope'), name='revocation_list_one_current'),
        ),
        migrations.AddField(
            model_name='revokedentry',
            name='list',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='marketplace.revocationlist'),
        ),
        migrations.AddConstraint(
            model_name='ocspanswer',
            constraint=models.UniqueConstraint(fields=('authority', 'serial'), name='ocsp_answer_once'),
        ),
        migrations.AddIndex(
            model_name='revocationsource',
            index=models.Index(condition=models.Q(('enabled', True)), fields=['next_at'], name='revocation_source_due'),
        ),
        migrations.AddConstraint(
            model_name='revocationsource',
            constraint=models.UniqueConstraint(fields=('authority', 'kind', 'url'), name='revocation_source_once'),
        ),
        migrations.AddConstraint(
            model_name='revokedentry',
            constraint=models.UniqueConstraint(fields=('list', 'serial'), name='revoked_once_per_list'),
        ),
        migrations.RunPython(describe_what_is_kept, migrations.RunPython.noop),
    ]
