"""What the person sees: lines that stay and, on a terminal, one that moves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

_WHAT, _DETAIL = 14, 62


@dataclass(frozen=True, slots=True)
class _Moving:
    """Drawn anew at each refresh, with what is true then."""

    spinner: Spinner
    text: Callable[[], str]

    def __rich__(self) -> Spinner:
        self.spinner.update(text=Text(self.text(), style="dim"))
        return self.spinner


@dataclass(frozen=True, slots=True)
class Screen:
    """Plain lines where the output is no terminal."""

    console: Console = field(default_factory=lambda: Console(highlight=False, soft_wrap=True))

    def say(self, text: str = "", style: str = "") -> None:
        """One line, as it is."""
        self.console.print(Text(text, style=style))

    def title(self, text: str) -> None:
        """The head of one step of the story."""
        self.say()
        self.say(text, "bold cyan")

    def command(self, line: str) -> None:
        """A command as a person types it."""
        self.console.print(Text("$ ", style="green") + Text(line, style="bold"))

    def printed(self, text: str) -> None:
        """What a command printed."""
        if text.strip():
            self.say(text.rstrip())

    def row(self, what: str, detail: str, seconds: float | None = None, mark: str = "") -> None:
        """What happened, with its measured values, and when: seconds after the patch."""
        when = f"{seconds:7.2f} s" if seconds is not None else ""
        line = f"  {what:<{_WHAT}} {detail:<{_DETAIL}} {when:>9}  {mark}"
        good = mark in {"Active", "Promoted"}
        style = "green" if good else "yellow" if mark else ""
        self.say(line.rstrip(), style)

    @contextmanager
    def moving(self, text: Callable[[], str]) -> Iterator[None]:
        """Show `text`, always anew, below the lines; nothing where there is no terminal."""
        if not self.console.is_terminal:
            yield
            return
        shown = _Moving(Spinner("dots"), text)
        with Live(shown, console=self.console, refresh_per_second=8, transient=True):
            yield

    def table(self, rows: list[tuple[str, str]]) -> None:
        """The figures."""
        width = max(len(name) for name, _ in rows)
        if not self.console.is_terminal:
            for name, value in rows:
                self.say(f"  {name:<{width}}  {value}")
            return
        table = Table(show_header=False)
        for name, value in rows:
            table.add_row(Text(name), Text(value, style="bold"))
        self.console.print(table, soft_wrap=False)
