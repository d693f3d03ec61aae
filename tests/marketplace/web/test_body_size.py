from __future__ import annotations

import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse


class Untouched(io.RawIOBase):
    """A body that nobody may read."""

    def read(self, *_arguments: Any) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/receipts/verify/", "/accounts/login/", "/api/v1/tenders/"])
def test_a_body_of_ten_gigabytes_is_refused_without_being_read(path: str) -> None:
    response = Client(enforce_csrf_checks=True).generic(
        "POST",
        path,
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(10 * 1024**3),
        **{"wsgi.input": Untouched()},
    )
    assert response.status_code == 413
    if path.startswith("/api/"):
        assert response.json()["code"] == "body_too_large"
    else:
        assert "This is too large" in response.content.decode()


@pytest.mark.django_db
def test_an_unreadable_length_is_no_crash() -> None:
    response = Client().generic("POST", reverse("receipt_verify"), CONTENT_LENGTH="many")
    assert response.status_code < 500
