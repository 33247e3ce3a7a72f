"""The answers of a model to many prompts: encoded, batched, decoded, each ended where it is complete.

Knows messages and text, but no suite, no metric and no known answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from modelyard.datasets.rows import Message
from modelyard.evaluation.decoding import Decoder, Prefix, kv_bytes_per_token, share_prefix
from modelyard.evaluation.weights import Weights

KV_BUDGET_BYTES = 1 << 30
"""Keys and values that a batch may hold: long prompts make small batches."""

MAX_ROWS = 64
"""More rows at once gain little on a CPU and delay the first answer."""

KEPT_SHARE = 0.8
"""Rows that are done leave the batch once fewer than this share of it goes on: leaving costs a copy of the cache."""


@dataclass(frozen=True)
class Answer:
    """What a model said to one prompt."""

    text: str = ""
    tokens: int = 0
    finished: bool = False
    """Whether it came to its end, and was not cut at the limit."""
    error: str = ""
    """Why there is no answer."""


@dataclass(frozen=True)
class Tally:
    """How far a round of answers is."""

    rows: int
    """Answered, or refused."""
    share: float
    """Of the work, 0 to 1; rows count in part while they grow."""
    tokens: int
    """Generated so far."""


@dataclass
class _Growing:
    """One answer in the making."""

    row: int
    prompt: list[int]
    cap: int
    tokens: list[int] = field(default_factory=list)
    text: str = ""


class Answerer:
    """Puts prompts to one model."""

    def __init__(self, weights: Weights, *, max_rows: int = MAX_ROWS, kv_budget_bytes: int = KV_BUDGET_BYTES) -> None:
        self._model, self._tokenizer = weights.model, weights.tokenizer
        self._max_rows, self._kv_budget_bytes = max_rows, kv_budget_bytes
        self._context: int = weights.model.config.get_text_config(decoder=True).max_position_embeddings
        ends = weights.model.generation_config.eos_token_id
        self._ends = {weights.tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])}

    def answer(
        self,
        prompts: Sequence[Sequence[Message]],
        *,
        max_tokens: int,
        is_complete: Callable[[str], bool],
        on_progress: Callable[[Tally], None],
    ) -> list[Answer]:
        """The greedy answer to every prompt, in the order of the prompts.

        is_complete: whether the text so far is all that matters; the rest is then not generated.
        A prompt that leaves no room in the model's context is not cut: its answer has an `error`.
        """
        encoded = [self._encode(prompt) for prompt in prompts]
        answers: dict[int, Answer] = {}
        growing: list[_Growing] = []
        for row, prompt in enumerate(encoded):
            if len(prompt) < self._context:
                growing.append(_Growing(row, prompt, cap=min(max_tokens, self._context - len(prompt))))
            else:
                answers[row] = Answer(error=f"the prompt has {len(prompt)} tokens and the model's context holds {self._context}")
        prefix = share_prefix(self._model, [one.prompt for one in growing])
        for batch in self._batches(growing):
            self._fill(batch, prefix, is_complete, answers, lambda: on_progress(_count(growing, answers, len(prompts))))
        return [answers[row] for row in range(len(prompts))]

    def _encode(self, prompt: Sequence[Message]) -> list[int]:
        turns = [{"role": message.role, "content": message.content} for message in prompt]
        encoding = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
        return list(encoding["input_ids"])

    def _batches(self, growing: Sequence[_Growing]) -> Iterator[list[_Growing]]:
        """Rows of like length together, the longest first, so that memory that is too small shows at once."""
        token_budget = self._kv_budget_bytes // kv_bytes_per_token(self._model)
        waiting = sorted(growing, key=lambda one: -len(one.prompt))
        while waiting:
            rows = min(self._max_rows, max(1, token_budget // (len(waiting[0].prompt) + waiting[0].cap)))
            yield waiting[:rows]
            waiting = waiting[rows:]

    def _fill(
        self,
        batch: list[_Growing],
        prefix: Prefix,
        is_complete: Callable[[str], bool],
        answers: dict[int, Answer],
        report: Callable[[], None],
    ) -> None:
        decoder = Decoder(self._model, prefix, [one.prompt for one in batch])
        tokens = decoder.first()
        while True:
            for one, token in zip(batch, tokens, strict=True):
                if one.row not in answers and (answer := self._grow(one, token, is_complete)):
                    answers[one.row] = answer
            report()
            going = [place for place, one in enumerate(batch) if one.row not in answers]
            if not going:
                return
            if len(going) < KEPT_SHARE * len(batch):
                decoder.keep(going)
                batch = [batch[place] for place in going]
            tokens = decoder.step()

    def _grow(self, one: _Growing, token: int, is_complete: Callable[[str], bool]) -> Answer | None:
        """Add a token; the answer once that was the last one."""
        ended = token in self._ends
        if not ended:
            one.tokens.append(token)
            one.text = self._tokenizer.decode(one.tokens, skip_special_tokens=True)
            ended = is_complete(one.text)
        if ended or len(one.tokens) >= one.cap:
            return Answer(text=one.text, tokens=len(one.tokens), finished=ended)
        return None


def _count(growing: Sequence[_Growing], answers: dict[int, Answer], total: int) -> Tally:
    parts = sum(len(one.tokens) / one.cap for one in growing if one.row not in answers)
    return Tally(rows=len(answers), share=(len(answers) + parts) / total, tokens=sum(len(one.tokens) for one in growing))
