"""Which source says what a sentence says, judged by shared words. Pure; knows no model and no prompt.

This is lexical attribution, not entailment: it sees that the words of a sentence stand in a source, not that
the source claims the same of them. "A raises B" and "B raises A" look alike to it, and a sentence that denies
something passes where the source denies anything. So a mark says where to look, not that the sentence is true.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.domain.passage import Passage
from modelyard.domain.sentences import sentence_spans

MIN_SUPPORT = 0.7
"""The share of a sentence's content words that must stand in the quoted sentences."""

_WORD = re.compile(r"\w+(?:[.'’]\w+)*")
_SUFFIX = re.compile(r"(?:'s|’s)$|(?<=\w{3})(?:ings?|edly|ed|es|e|s|ly)$")
_NEGATION = re.compile(r"\b(?:not|no|never|nor|neither|cannot|without|\w+n['’]t)\b", re.IGNORECASE)
_STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be because been before being both but by can could did do does
    during each either for from further had has have having he her here him his how i if in into is it its itself just
    may me might more most must my neither no nor not of off on once one only or other our out over own same shall she
    should so some such than that the their them then there these they this those through thus to too under until up
    upon us use used uses using very was we were what when where whether which while who whom whose why will with would
    yes you your answer according source sources""".split()
)


@dataclass(frozen=True)
class Support:
    """The place that supports a sentence best."""

    source: int
    """Number of the source, counted from 1."""
    share: float
    """Of the sentence's content words, those found there: 0 to 1. 0 where a name, a number or its denial is missing."""
    quote: str
    """One or two sentences of the source, to the character."""

    @property
    def suffices(self) -> bool:
        """Whether the sentence may be called supported."""
        return self.share >= MIN_SUPPORT


class Attributor:
    """Finds the support of sentences in a fixed list of sources."""

    def __init__(self, sources: Sequence[Passage], question: str = "") -> None:
        """`question`: its words prove nothing when an answer repeats them, so the words beside them must stand by themselves."""
        self._windows = [(number, *window) for number, source in enumerate(sources, 1) for window in _windows(source.text)]
        self._asked, self._asked_denial = content_words(question), _denies(question)

    def best(self, sentence: str, among: Sequence[int] | None = None) -> Support | None:
        """The best support for a sentence; of equals, the shortest quote of the first source.

        among: numbers of the sources to look at; None: all. Returns None without sources or content words.
        """
        words, exact = content_words(sentence), exact_words(sentence)
        denies = _denies(sentence) and not self._asked_denial
        found = [
            Support(number, 0.0 if denies and not _denies(quote) else self._share(words, exact, window), quote)
            for number, quote, window in self._windows
            if words and (among is None or number in among)
        ]
        return max(found, key=lambda support: (support.share, -support.source, -len(support.quote)), default=None)

    def _share(self, words: frozenset[str], exact: frozenset[str], window: frozenset[str]) -> float:
        if not exact <= window:
            return 0.0
        new = words - self._asked
        shares = [len(part & window) / len(part) for part in (words, new) if part]
        return min(shares)


def content_words(text: str) -> frozenset[str]:
    """The words of a text that carry meaning, folded to stems; names and numbers stay as they are."""
    return frozenset(_fold(word) for word in _WORD.findall(text) if _is_exact(word) or word.lower() not in _STOP_WORDS)


def exact_words(text: str) -> frozenset[str]:
    """The numbers and the program names (`AssertionError`, `__debug__`) of a text: they are right or wrong, never nearly right."""
    return frozenset(_fold(word) for word in _WORD.findall(text) if _is_exact(word))


def _denies(text: str) -> bool:
    return _NEGATION.search(text) is not None


def _is_exact(word: str) -> bool:
    return any(character.isdigit() or character == "_" for character in word) or any(c.isupper() for c in word[1:])


def _fold(word: str) -> str:
    return word.lower() if _is_exact(word) else _SUFFIX.sub("", word.lower())


def _windows(text: str) -> list[tuple[str, frozenset[str]]]:
    """Each sentence, and each two neighbours: (the text, its content words)."""
    spans = sentence_spans(text)
    pairs = [(first[0], second[1]) for first, second in zip(spans, spans[1:], strict=False)]
    return [(text[start:end], content_words(text[start:end])) for start, end in spans + pairs]
