"""What was found in a dataset: for people, and for the lineage of what learned from it. Pure."""

from collections.abc import Sequence

from modelyard.domain.base import Spec


class Lengths(Spec):
    """How long rows are, in tokens, before any is cut."""

    p50: int = 0
    """Half of the rows are no longer."""
    p95: int = 0
    """95 % of the rows are no longer."""
    max: int = 0
    """The longest."""


class DatasetStatistics(Spec):
    """A dataset as one run takes it."""

    format: str
    """What the rows were: `chat`, `sharegpt`, `alpaca`, `prompt-completion` or `text`."""
    files: int
    """How many were read."""
    rows: int
    """All that were read."""
    duplicates: int
    """Equal to a row before them; left out where `deduplicate` is true."""
    contaminated: dict[str, int]
    """Suite → rows that were left out because that suite asks them."""
    overlong: int = 0
    """Longer than maxLength: cut, left out or split, as `overlong` says."""
    truncated: int = 0
    """Cut to maxLength."""
    masked: int = 0
    """Left out because nothing in them would be learned."""
    train: int = 0
    """Examples that are learned from."""
    validation: int = 0
    """Examples that are measured on."""
    tokens: int = 0
    """Of all examples."""
    learned_tokens: int = 0
    """Those among them that are learned."""
    lengths: Lengths = Lengths()

    @property
    def masked_share(self) -> float:
        """The share of the tokens that is not learned."""
        return 1 - self.learned_tokens / self.tokens if self.tokens else 0.0


def measure_lengths(lengths: Sequence[int]) -> Lengths:
    """Percentiles by nearest rank."""
    if not lengths:
        return Lengths()
    ordered = sorted(lengths)
    p50, p95 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 95))
    return Lengths(p50=p50, p95=p95, max=ordered[-1])
