"""What `haidang up` says while it starts: steps with a spinner on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


def _(msgid: str) -> str:
    """Mark a sentence for the catalogues; it is translated when it is spoken."""
    return msgid


class Progress:
    """Tells people about steps; `translate` turns a message id and its fields into their language."""

    def __init__(self, console: Console, translate: Callable[..., str]) -> None:
        self._console = console
        self._translate = translate

    @property
    def on_terminal(self) -> bool:
        """Whether a person looks at a terminal."""
        return bool(self._console.is_terminal)

    @contextmanager
    def step(self, msgid: str, **fields: object) -> Iterator[None]:
        """One step: what is being done, then that it is done and how long it took."""
        text = self._translate(msgid, **fields)
        began = time.monotonic()
        if self.on_terminal:
            with self._console.status(f"{text} …", spinner="dots"):
                yield
            mark = "[green]✓[/green] "
        else:
            self._write(f"{text} …")
            yield
            mark = "  "
        seconds = self._translate(_("{seconds} s"), seconds=f"{time.monotonic() - began:.1f}")
        done = self._translate(_("done"))
        self._write(f"{mark}{text}: {done} ({seconds})")

    def say(self, msgid: str, **fields: object) -> None:
        """One line."""
        self._write(self._translate(msgid, **fields))

    def show(self, text: str) -> None:
        """A line as it is: an address, a token."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _write(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
