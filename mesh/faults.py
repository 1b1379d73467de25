"""A fault of a config: where it lies, what is wrong, and the way out. All checks of the mesh speak in these."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `place` is the dotted path as the user would type it, `message` says what is wrong and the way out."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message
