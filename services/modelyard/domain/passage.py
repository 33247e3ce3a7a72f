"""What a search answers: the contract between retrieval, which finds passages, and the gateway, which cites them."""

from modelyard.domain.base import Spec


class Passage(Spec):
    """A piece of a document. `text` is `document[start_char:end_char]`, to the character."""

    text: str
    title: str
    """Of the document."""
    file: str
    """Where the document is: its path below the source, or its URI."""
    chunk_id: str
    heading: str = ""
    """The headings above it, outermost first, joined by ` > `."""
    score: float = 0.0
    """Cosine of question and passage, −1 to 1."""
    start_char: int = 0
    end_char: int = 0
