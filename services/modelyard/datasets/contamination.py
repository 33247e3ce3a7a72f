"""Find rows that an evaluation suite asks: what was learned by heart must not be scored. Knows no tokenizer.

The n-grams are those of Brown et al. 2020 (GPT-3), appendix C: 13 words in a row, without those that several questions
share, because the words around a question are no leak.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from modelyard.datasets.conversation import Conversation, Row
from modelyard.datasets.rows import read_conversations
from modelyard.domain.errors import ModelyardError

Rule = Literal["none", "exact", "ngram"]

WORD = re.compile(r"\w+")
WORDS_IN_A_ROW = 13


class Contamination:
    """What suites ask."""

    def __init__(self, suites: Mapping[str, str], rule: Rule) -> None:
        """suites: name → URI; rule: `exact` compares whole questions, `ngram` also 13 words in a row, `none` nothing.

        Raises a ModelyardError that names the suite which cannot be read.
        """
        self.by_ngram = rule == "ngram"
        self.questions: dict[str, str] = {}
        self.ngrams: dict[int, str] = {}
        for name, uri in suites.items() if rule != "none" else ():
            self._add(name, _read(name, uri))

    def find(self, row: Row) -> str | None:
        """The suite that asks a row, or nothing. Words count; case, punctuation and what is said around them do not."""
        asked = [_words(text) for text in _asked(row)]
        for words in (*asked, [word for said in asked for word in said]):
            if (name := self.questions.get(" ".join(words))) is not None:
                return name
        if not self.by_ngram:
            return None
        return next((self.ngrams[key] for words in asked for key in _ngrams(words) if key in self.ngrams), None)

    def _add(self, name: str, conversations: Iterable[Conversation]) -> None:
        counted: Counter[int] = Counter()
        for conversation in conversations:
            words = [word for text in _asked(conversation) for word in _words(text)]
            self.questions.setdefault(" ".join(words), name)
            if self.by_ngram:
                counted.update(set(_ngrams(words)))
        for key, questions in counted.items():
            if questions == 1:
                self.ngrams.setdefault(key, name)


def _read(name: str, uri: str) -> list[Conversation]:
    try:
        return read_conversations(uri)
    except ModelyardError as error:
        raise type(error)(f"suite {name!r}: {error.problem}", error.remedy) from error


def _asked(row: Row) -> list[str]:
    """The texts that a user says, or the text itself."""
    if isinstance(row, Conversation):
        return [message.content for message in row.messages if message.role == "user"]
    return [row.text]


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def _ngrams(words: list[str]) -> Iterator[int]:
    return (hash(tuple(words[start : start + WORDS_IN_A_ROW])) for start in range(len(words) - WORDS_IN_A_ROW + 1))
