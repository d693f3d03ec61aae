from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from marketplace.signatures import Evidence, Indication, Policy, Report, Sub, bounded, verify_bounded
from marketplace.signatures.authority import DEFAULT_EKU, Authority
from marketplace.signatures.sign import Credential, sign
from marketplace.signatures.verification import verify
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD
from tests.patience import PATIENCE_S


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[bounded._Pool]:
    fresh = bounded._Pool()
    monkeypatch.setattr(bounded, "_pool", fresh)
    yield fresh
    fresh.close()


@pytest.fixture
def policy(authority: Authority) -> Policy:
    return Policy(anchors=(authority.root.der,), eku=DEFAULT_EKU, identifiers=frozenset({IDENTIFIER}))


@pytest.fixture
def evidence(authority: Authority) -> Evidence:
    return Evidence(crls=authority.crls(AT))


@pytest.mark.parametrize("payload", [PAYLOAD, b"something else", None])
def test_worker_answers_as_verify_does(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential, payload: bytes | None
) -> None:
    signature = sign(PAYLOAD, signer, AT)

    report = verify_bounded(signature, payload, policy, AT, evidence, seconds=PATIENCE_S)

    assert report == verify(signature, payload, policy, AT, evidence)
    assert report.passed is (payload == PAYLOAD)


def test_report_survives_the_way_between_processes(policy: Policy, evidence: Evidence, signer: Credential) -> None:
    for signature in (sign(PAYLOAD, signer, AT), b"garbage"):
        report = verify(signature, PAYLOAD, policy, AT, evidence)
        assert Report.from_json(report.to_json()) == report


def test_worker_is_used_again(pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential) -> None:
    signature = sign(PAYLOAD, signer, AT)
    verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)
    first = _workers(pool)

    verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)

    assert len(first) == 1
    assert _workers(pool) == first


def test_slow_check_is_a_verdict_in_time_and_the_worker_is_replaced(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential
) -> None:
    signature = sign(PAYLOAD, signer, AT)
    verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)
    (worker,) = _workers(pool)
    os.kill(worker, 19)  # SIGSTOP: as good as an endless loop

    started = time.monotonic()
    report = verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=0.2)

    assert (report.indication, report.sub_indication) == (Indication.INDETERMINATE, Sub.GENERIC)
    assert "too long" in report.reasons[0]
    assert time.monotonic() - started < PATIENCE_S
    assert _workers(pool) == []
    assert verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S).passed


def test_worker_that_died_is_replaced(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential
) -> None:
    signature = sign(PAYLOAD, signer, AT)
    verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)
    (worker,) = _workers(pool)
    os.kill(worker, 9)
    while list(pool._slots.queue)[-1].process.poll() is None:
        time.sleep(0.01)

    assert verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S).passed


def test_worker_that_grew_too_large_is_replaced(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = sign(PAYLOAD, signer, AT)
    verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)
    before = _workers(pool)
    monkeypatch.setattr(bounded, "MEMORY_BYTES", 1024)

    verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)

    assert _workers(pool) != before


def test_want_of_memory_is_a_verdict_and_the_next_signature_passes(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature, greedy = sign(PAYLOAD, signer, AT), Evidence(crls=(bytes(128 * 1024 * 1024),))
    monkeypatch.setattr(bounded, "MEMORY_BYTES", 96 * 1024 * 1024)

    report = verify_bounded(signature, PAYLOAD, policy, AT, greedy, seconds=PATIENCE_S)

    assert (report.indication, report.sub_indication) == (Indication.INDETERMINATE, Sub.GENERIC)
    monkeypatch.undo()
    monkeypatch.setattr(bounded, "_pool", pool)
    assert verify_bounded(signature, PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S).passed


def test_workers_memory_is_limited(pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential) -> None:
    verify_bounded(sign(PAYLOAD, signer, AT), PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)

    with open(f"/proc/{_workers(pool)[0]}/limits") as limits:
        (line,) = [line for line in limits if line.startswith("Max address space")]
    assert int(line.split()[3]) < 4 * 1024**3


def test_worker_knows_no_secret_of_the_parents(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLOT_KEYS", "secret")

    verify_bounded(b"garbage", PAYLOAD, policy, AT, evidence, seconds=PATIENCE_S)

    with open(f"/proc/{_workers(pool)[0]}/environ", "rb") as environment:
        assert b"OPENLOT" not in environment.read()


def test_full_queue_is_a_verdict(pool: bounded._Pool, policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_QUEUE_SECONDS", 0.01)
    taken = [pool._slots.get() for _ in range(bounded.WORKERS)]

    report = verify_bounded(b"garbage", PAYLOAD, policy, AT, seconds=PATIENCE_S)

    assert report.sub_indication == Sub.GENERIC
    assert "Too many" in report.reasons[0]
    for slot in taken:
        pool._slots.put(slot)


def test_many_threads_share_few_workers(
    pool: bounded._Pool, policy: Policy, evidence: Evidence, signer: Credential
) -> None:
    reports: list[Report] = []

    def once(number: int) -> None:
        payload = f"payload {number}".encode()
        report = verify_bounded(sign(payload, signer, AT), payload, policy, AT, evidence, seconds=PATIENCE_S)
        reports.append(report)

    threads = [threading.Thread(target=once, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [report.passed for report in reports] == [True] * 12
    assert 1 <= len(_workers(pool)) <= bounded.WORKERS


def test_worker_ends_with_its_parents_pipe() -> None:
    worker = bounded._Worker()
    assert worker.process.stdin is not None

    worker.process.stdin.close()

    assert worker.process.wait(timeout=PATIENCE_S) == 0
    worker.stop()


def _workers(pool: bounded._Pool) -> list[int]:
    return [worker.process.pid for worker in list(pool._slots.queue) if worker is not None]
