"""Take out the rows of a dataset that would be learned twice or that a suite asks, and count them. Knows no tokenizer."""

from collections.abc import Iterable, Iterator

from modelyard.datasets.contamination import Contamination
from modelyard.datasets.conversation import Row


class Sieve:
    """One pass over the rows of a dataset."""

    def __init__(self, contamination: Contamination, *, deduplicate: bool) -> None:
        """deduplicate: whether equal rows are learned once; they are counted in either case."""
        self.contamination, self.deduplicate = contamination, deduplicate
        self.rows = 0
        """How many came in."""
        self.duplicates = 0
        """How many of them were equal to one before."""
        self.contaminated: dict[str, int] = {}
        """Suite → how many it asks."""
        self._seen: set[bytes] = set()

    def sift(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows that stay, in their order."""
        for row in rows:
            self.rows += 1
            key = bytes.fromhex(row.digest)
            repeated = key in self._seen
            self._seen.add(key)
            self.duplicates += repeated
            if repeated and self.deduplicate:
                continue
            suite = self.contamination.find(row)
            if suite is None:
                yield row
            else:
                self.contaminated[suite] = self.contaminated.get(suite, 0) + 1
