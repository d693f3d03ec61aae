import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from marketplace import audit
from marketplace.models import AuditRecord
from tests.factories.marketplace import NOON, OrganisationFactory, member

GUARDS = ["append_only", "no_truncate"]


@pytest.mark.django_db
def test_records_of_a_stream_are_chained() -> None:
    organisation = OrganisationFactory.create()
    actor = member(organisation)
    first = audit.record("organisation.renamed", organisation, by=actor, at=NOON, before="A", after="B")
    second = audit.record("organisation.renamed", organisation, by=None, at=NOON, before="B", after="C")

    assert (first.number, second.number) == (1, 2)
    assert first.previous_hash == audit.GENESIS
    assert second.previous_hash == first.hash
    assert second.person is None
    assert audit.broken_at(AuditRecord.objects.filter(stream=first.stream)) is None


@pytest.mark.django_db
def test_the_database_refuses_to_change_or_delete_a_record() -> None:
    entry = audit.record("organisation.renamed", OrganisationFactory.create(), by=None, at=NOON)

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditRecord.objects.filter(pk=entry.pk).update(action="nothing")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        entry.delete()


@pytest.mark.django_db
def test_a_change_behind_the_databases_back_breaks_the_chain() -> None:
    organisation = OrganisationFactory.create()
    for n in range(3):
        audit.record("organisation.renamed", organisation, by=None, at=NOON, n=n)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE marketplace_auditrecord DISABLE TRIGGER append_only")
        cursor.execute("UPDATE marketplace_auditrecord SET details = '{}' WHERE number = 2")
        cursor.execute("ALTER TABLE marketplace_auditrecord ENABLE TRIGGER append_only")

    assert audit.broken_at(AuditRecord.objects.filter(stream=f"organisation:{organisation.pk}")) == 2


@pytest.mark.django_db(transaction=True)
def test_records_written_at_once_get_one_number_each() -> None:
    organisation = OrganisationFactory.create()
    together = threading.Barrier(4)

    def write(n: int) -> int:
        together.wait()
        try:
            with transaction.atomic():
                return audit.record("organisation.renamed", organisation, by=None, at=NOON, n=n).number
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(write, range(4)))

    assert sorted(numbers) == [1, 2, 3, 4]
    assert audit.broken_at(AuditRecord.objects.filter(stream=f"organisation:{organisation.pk}")) is None


@pytest.mark.django_db(transaction=True)
def test_a_record_outside_a_transaction_is_a_bug() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        audit.record("organisation.renamed", OrganisationFactory.create(), by=None, at=NOON)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["marketplace_auditrecord", "marketplace_organisation"])
def test_no_append_only_table_is_emptied(table: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE tgname IN (%s, %s)", GUARDS)
        guards = cursor.fetchall()
        with pytest.raises(IntegrityError, match="append-only"):
            cursor.execute(f"TRUNCATE {table} CASCADE")
    row_guards, table_guards = ({of for of, name in guards if name == guard} for guard in GUARDS)
    assert row_guards == table_guards
