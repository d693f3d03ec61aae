"""Auctions as this process last saw them: their page is asked for by hundreds at once, and a log may have 50,000
events."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from procurement.queries import auctions as rooms
from procurement.rules.auction.log import Hall

_MOST: Final = 50


class Halls:
    """What was folded before is kept, and only what came since is read. For any number of threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, Hall] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, auction_id: int) -> Hall | None:
        """The auction as its log has it now; None while nothing was written."""
        with self._lock:
            known = self._known.get(auction_id)
        if known is not None and not rooms.holds(auction_id, known):
            known = None
        hall = rooms.hall(auction_id, known)
        if hall is not None:
            self._keep(hall)
        return hall

    def _keep(self, hall: Hall) -> None:
        with self._lock:
            # Whichever of two threads was slower: what it leaves is right, and read on from.
            self._known.pop(hall.auction, None)
            self._known[hall.auction] = hall
            if len(self._known) > _MOST:
                self._known.popitem(last=False)


#: The web process's.
HALLS: Final = Halls()
