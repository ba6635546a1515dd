"""What a document is once it has been read."""

from dataclasses import dataclass

from .errors import FleetError

MAX_BYTES = 50_000_000


class DocumentError(FleetError):
    """A document cannot be read: the message names the file, the problem and the way out."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that is not blank; `notes` say which parts of the document it lacks."""

    text: str
    notes: tuple[str, ...] = ()
