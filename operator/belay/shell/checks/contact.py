"""Which Workflows are heard, which fell silent, and whether probing is suspended for all."""

from datetime import datetime

from belay.core.evidence import contact
from belay.core.evidence.contact import LostContact
from belay.core.keys import Key


class Contact:
    """Every method takes about the same time, however many Workflows there are."""

    def __init__(self) -> None:
        self.suspended: LostContact | None = None
        self.times_back = 0
        """How often contact came back: evidence from before that does not count."""
        self._heard: set[Key] = set()
        self._lost: set[Key] = set()
        self._lost_lately: dict[Key, float] = {}
        """When, in the order of time."""

    def hear(self, key: Key) -> None:
        """One of its pods answered, be it right or wrong."""
        self._heard.add(key)
        self._lost.discard(key)
        self._lost_lately.pop(key, None)

    def count(self, key: Key) -> None:
        """It was heard before, if not by this process."""
        self._heard.add(key)

    def lose(self, key: Key, at: float) -> None:
        """None of its pods answers any more, though kubelet calls them ready."""
        if key in self._heard and key not in self._lost:
            self._lost.add(key)
            self._lost_lately[key] = at

    def forget(self, key: Key) -> None:
        """It is not probed any more, or others of its pods are."""
        self._heard.discard(key)
        self._lost.discard(key)
        self._lost_lately.pop(key, None)

    def turned(self, at: float, now: datetime) -> bool:
        """Whether probing has just been suspended, or goes on again."""
        while self._lost_lately:
            key, since = next(iter(self._lost_lately.items()))
            if at - since <= contact.TOGETHER:
                break
            del self._lost_lately[key]
        probed, lost, lately = len(self._heard), len(self._lost), len(self._lost_lately)
        if self.suspended is None:
            if contact.is_lost(lost_lately=lately, probed=probed):
                self.suspended = LostContact(now, lost, probed)
                return True
        elif contact.is_back(lost=lost, probed=probed):
            self.suspended = None
            self.times_back += 1
            return True
        return False
