"""The rows of a run as tokens, split into those that are learned from and those that are measured on. Deterministic."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from modelyard.datasets.contamination import Contamination
from modelyard.datasets.conversation import Row, Text
from modelyard.datasets.rows import Rows
from modelyard.datasets.sieve import Sieve
from modelyard.domain.dataset_statistics import DatasetStatistics, measure_lengths
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.fine_tune import Dataset
from modelyard.domain.job import TrainJob
from modelyard.training.corpus import require_recorded, require_rows
from modelyard.training.token_file import TokenFile
from modelyard.training.tokens import Example, encode, fit


@dataclass(frozen=True)
class Examples:
    """What a run learns from and is measured on; read from a file when it is asked for."""

    train: Sequence[Example]
    validation: Sequence[Example]
    statistics: DatasetStatistics

    def counts(self) -> dict[str, int]:
        """Numbers of rows, for the lineage and for people."""
        found = self.statistics
        return {
            "train": found.train,
            "validation": found.validation,
            "truncated": found.truncated,
            "dropped": found.masked,
            "duplicates": found.duplicates,
            "contaminated": sum(found.contaminated.values()),
        }


def make_examples(spec: TrainJob, rows: Rows, tokenizer: PreTrainedTokenizerBase) -> Examples:
    """Tokenize and split the rows of a run.

    Raises InvalidInputError if nothing is left to learn, less than one step takes, or the dataset changed while it was read.
    """
    examples = prepare(spec.fine_tune.dataset, spec.fine_tune.hyperparameters.max_length, rows, tokenizer, spec.suites)
    require_recorded(spec)
    require_rows(spec, len(examples.train))
    return examples


def prepare(dataset: Dataset, max_length: int, rows: Rows, tokenizer: PreTrainedTokenizerBase, suites: Mapping[str, str]) -> Examples:
    """Sift, tokenize, fit and split rows, one at a time.

    suites: name → URI of those that will score what learns from the rows.
    Raises InvalidInputError for a row that the tokenizer's template refuses, and if nothing is left to learn.
    """
    sieve = Sieve(Contamination(suites, dataset.decontaminate), deduplicate=dataset.deduplicate)
    file, lengths = TokenFile(), array("q")
    overlong = truncated = masked = tokens = learned_tokens = 0
    for row in sieve.sift(rows):
        whole = encode(tokenizer, row)
        lengths.append(len(whole.ids))
        overlong += len(whole.ids) > max_length
        for example in fit_row(row, whole, dataset, max_length):
            truncated += example.truncated
            if not example.learned:
                masked += 1
                continue
            tokens, learned_tokens = tokens + len(example.ids), learned_tokens + example.learned
            file.append(example)
    if not len(file):
        raise _nothing_left(dataset, max_length, sieve, masked)
    train, validation = split([file.digest(index) for index in range(len(file))], dataset.validation_split)
    statistics = DatasetStatistics(
        format=str(rows.shape),
        files=rows.files,
        rows=sieve.rows,
        duplicates=sieve.duplicates,
        contaminated=sieve.contaminated,
        overlong=overlong,
        truncated=truncated,
        masked=masked,
        train=len(train),
        validation=len(validation),
        tokens=tokens,
        learned_tokens=learned_tokens,
        lengths=measure_lengths(lengths),
    )
    return Examples(file.select(train), file.select(validation), statistics)


def fit_row(row: Row, whole: Example, dataset: Dataset, max_length: int) -> list[Example]:
    """The examples that a row gives, of at most `max_length` tokens each; of a conversation no second one begins midway."""
    policy = dataset.overlong
    return fit(whole, max_length, "cut" if policy == "split" and not isinstance(row, Text) else policy)


def split(digests: Sequence[bytes], share: float) -> tuple[list[int], list[int]]:
    """(places to learn from, places to measure on), chosen by content: order does not matter, and equal rows stay together."""
    distinct = sorted(set(digests))
    held_out = set(distinct[: round(len(distinct) * share)])
    places: tuple[list[int], list[int]] = ([], [])
    for place, digest in enumerate(digests):
        places[digest in held_out].append(place)
    return places


def _nothing_left(dataset: Dataset, max_length: int, sieve: Sieve, masked: int) -> InvalidInputError:
    if masked:
        return InvalidInputError(
            f"no row of dataset {dataset.uri} has a token of its answer within maxLength {max_length}: all {masked} would be masked",
            "raise hyperparameters.maxLength, shorten the questions, or give an answer weight 1",
        )
    contaminated = sum(sieve.contaminated.values())
    return InvalidInputError(
        f"no row of dataset {dataset.uri} is left to learn: of {sieve.rows}, {sieve.duplicates} are duplicates, suites ask {contaminated},"
        " and the others are longer than maxLength",
        "add other rows, or change dataset.overlong or dataset.decontaminate",
    )
