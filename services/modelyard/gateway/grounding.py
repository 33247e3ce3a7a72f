"""Write the prompt that answers a question from numbered sources. Pure: no I/O, no model, no search.

The way of an answer: `choose_sources` → `build_grounded_messages` → the model → `citing.cite` with the same sources.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.domain.passage import Passage
from modelyard.domain.sentences import sentence_spans

DEFAULT_BUDGET = 2400
"""Characters of all sources together: about 600 tokens of English, so that an old turn or two fit beside them."""

INSTRUCTION = (
    "Answer the question in one short sentence, using only the sources above. "
    "If they do not hold the answer, say that the sources do not say."
)
"""Short on purpose, like the number of sources: a model of 135M parameters answers worse with each sentence more."""


def choose_sources(passages: Sequence[Passage], budget: int = DEFAULT_BUDGET, size: Callable[[str], int] = len) -> list[Passage]:
    """The best passages that fit a budget together, best first; number them from 1 in this order.

    budget: for all texts, in units of `size`, by default characters; pass a tokenizer's count for tokens.
    What a passage shares with a better one of the same document is cut off it. A passage that does not fit is
    left out, but the best one is cut at the end of a sentence instead.
    """
    chosen: list[Passage] = []
    left = budget
    for passage in sorted(passages, key=lambda passage: -passage.score):
        for better in chosen:
            passage = _without(passage, better)
        if not chosen and size(passage.text) > left:
            passage = _cut(passage, left, size)
        needed = size(passage.text)
        if passage.text.strip() and needed <= left:
            chosen.append(passage)
            left -= needed
    return chosen


def build_grounded_messages(messages: Sequence[Mapping[str, Any]], sources: Sequence[Passage]) -> list[dict[str, Any]]:
    """The conversation with the sources and the instructions written into its last user message, the question last.

    The best source, `[1]`, stands nearest to the question: small models find it there more often than at the top.
    messages: OpenAI chat messages; earlier turns and a system message stay as they are. Without a user message or
    without sources the conversation is returned unchanged.
    """
    grounded = [dict(message) for message in messages]
    asked = next((message for message in reversed(grounded) if message.get("role") == "user"), None)
    if asked is not None and sources:
        asked["content"] = _grounded_content(asked.get("content"), sources)
    return grounded


def question_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of the last user message, which is what to search for; empty without one."""
    content = next((message.get("content") for message in reversed(messages) if message.get("role") == "user"), None)
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if part.get("type") in ("text", "input_text"))
    return str(content or "")


def _grounded_content(content: Any, sources: Sequence[Passage]) -> Any:
    numbered = "\n\n".join(f"[{number}] {_title(source)}\n{source.text}" for number, source in reversed([*enumerate(sources, 1)]))
    prompt = f"Sources:\n\n{numbered}\n\n{INSTRUCTION}\n\nQuestion: "
    if isinstance(content, list):
        return [{"type": "text", "text": prompt}, *content]
    return prompt + str(content or "")


def _title(source: Passage) -> str:
    return source.heading or source.title


def _without(passage: Passage, better: Passage) -> Passage:
    """The part of a passage that a better one of the same document does not hold already."""
    start, end = passage.start_char, passage.end_char
    if passage.file == better.file and start < better.end_char and better.start_char < end:
        if start < better.start_char:
            end = better.start_char
        else:
            start = min(better.end_char, end)
    return _slice(passage, start, end)


def _cut(passage: Passage, budget: int, size: Callable[[str], int]) -> Passage:
    """The longest run of whole sentences from the start that fits."""
    ends = [end for _, end in sentence_spans(passage.text) if size(passage.text[:end]) <= budget]
    return _slice(passage, passage.start_char, passage.start_char + (ends[-1] if ends else 0))


def _slice(passage: Passage, start: int, end: int) -> Passage:
    text = passage.text[start - passage.start_char : end - passage.start_char]
    return passage.model_copy(update={"text": text, "start_char": start, "end_char": end})
