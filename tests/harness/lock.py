"""The lock that makes a running cluster the only one of its folder, and tells who runs it."""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.harness.setup import SetupError


@dataclass
class Lock:
    """The right to run a cluster in a folder; the kernel takes it back when its holder dies."""

    path: Path
    _file: IO[str] | None = None

    def take(self, note: str) -> None:
        """Take the lock and write who has it; `SetupError` names the present holder."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise SetupError(
                f"one local cluster per machine, and there is one: {self.holder()}. "
                "Wait for it to end, or run `make cluster-down` if it is one of `make cluster`; "
                "CLUSTER=existing uses that one."
            ) from None
        self._file = file
        self.note(note)

    def note(self, text: str) -> None:
        """Change what others read about the holder."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()

    def descriptor(self) -> int:
        """The open file that carries the lock; a child that inherits it shares the lock."""
        assert self._file is not None
        return self._file.fileno()

    def free(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def holder(self) -> str | None:
        """Who has the lock, in words; None when it is free."""
        if not self.path.exists():
            return None
        with self.path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "starting now"
        return None
