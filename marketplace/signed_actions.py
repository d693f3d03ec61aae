"""What signatures are for, gathered from every app without knowing them: each registers its actions when it starts.

    # procurement/apps.py
    def ready(self):
        signed_actions.register(signed_actions.SignedAction("award", carry_out=..., about=..., url=...))

A signature that cannot be judged yet is kept (services/signature_queue.py), and what it is for is carried out later, by
the same service. An action that is not here is not kept: its signature is refused, and sent again by the person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from marketplace.shared.errors import Sentence

if TYPE_CHECKING:
    from marketplace.models import SigningRequest
    from marketplace.permissions import Actor
    from marketplace.services.signing import Judged


def _nothing(_request: SigningRequest) -> None:
    """Nothing has to be done."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A signature on its way to the service: of what, by whom, received when. `arguments` are the service's own.

    `verdict` is what was said of it before; without one the service has it judged.
    """

    request: SigningRequest
    cms: bytes
    by: Actor
    received_at: datetime
    arguments: Mapping[str, str]
    verdict: Judged | None = None


@dataclass(frozen=True, slots=True)
class SignedAction:
    """An action of a name, as signing requests carry it.

    `carry_out(sent, at)` calls the service and answers with what it did; `at` is now. `about` says in a few words what
    is signed, `url` where it is shown. `arguments` are the names that `Sent.arguments` has, all of them.

    `last(request, received_at)` is until when at the latest it may be judged (None: as long as any),
    `binds_from(request)` from when on one that waits cannot be cancelled (None: it always can).

    `hold` takes the locks that the service takes before those of rows, and is called before the queue's own row is
    locked. `holds` names what waits for the signature, such as "opening:7".
    """

    name: str
    carry_out: Callable[[Sent, datetime], Any]
    about: Callable[[SigningRequest], Sentence]
    url: Callable[[SigningRequest], str]
    arguments: frozenset[str] = frozenset()
    last: Callable[[SigningRequest, datetime], datetime | None] = lambda _request, _received_at: None
    binds_from: Callable[[SigningRequest], datetime | None] = lambda _request: None
    hold: Callable[[SigningRequest], None] = _nothing
    holds: Callable[[SigningRequest], str] = lambda _request: ""


_actions: dict[str, SignedAction] = {}


def register(action: SignedAction) -> None:
    """Let signatures of this action wait for their verdict. Said again, the last one counts."""
    _actions[action.name] = action


def find(name: str) -> SignedAction | None:
    return _actions.get(name)
