"""Turn conversations into token ids, and mark the ones that are learned: the answer and the token that ends it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from modelyard.datasets.rows import Conversation, Message
from modelyard.domain.errors import InvalidInputError


@dataclass(frozen=True)
class Example:
    """One row as tokens."""

    ids: tuple[int, ...]
    learn_from: int
    """Index of the first token that is learned; all after it are learned too."""
    digest: str
    """sha256 of the conversation, the same wherever it stands in a dataset."""
    truncated: bool = False

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return max(0, len(self.ids) - self.learn_from)


def load_tokenizer(base: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of base weights, with a padding token. Raises InvalidInputError if it has no chat template."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base)
    if tokenizer.chat_template is None:
        raise InvalidInputError(f"the tokenizer of base {base.name[:12]} has no chat template", "use an instruction-tuned base")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id or 0
    return tokenizer


def encode(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, max_length: int) -> Example:
    """One conversation in the words of the tokenizer's chat template.

    Learned is what comes after the template's invitation to answer, up to the token that ends the turn;
    what a template writes after that (a line break, as a rule) is dropped. A row longer than `max_length`
    tokens is cut at its end. Raises InvalidInputError where the template refuses the roles.
    """
    try:
        question = _render(tokenizer, conversation.question, invite=True)
        whole = _render(tokenizer, conversation.messages, invite=False)
    except TemplateError as error:
        raise InvalidInputError(
            f"the base's chat template refuses the row in line {conversation.line}: {error}", "change its roles or their order"
        ) from None
    ids = _tokenize(tokenizer, whole)
    learn_from = _shared(ids, _tokenize(tokenizer, question))
    ids = _end_turn(tokenizer, ids, learn_from)
    return Example(tuple(ids[:max_length]), learn_from, conversation.digest, truncated=len(ids) > max_length)


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, invite: bool) -> str:
    turns = [message.turn() for message in messages]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=invite))


def _tokenize(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    # The template has written the special tokens already.
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _shared(ids: Sequence[int], question: Sequence[int]) -> int:
    """How many tokens question and whole have in common; a token that spans the seam belongs to the answer."""
    for index, (one, other) in enumerate(zip(ids, question, strict=False)):
        if one != other:
            return index
    return min(len(ids), len(question))


def _end_turn(tokenizer: PreTrainedTokenizerBase, ids: list[int], learn_from: int) -> list[int]:
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    ends = [index for index in range(learn_from, len(ids)) if ids[index] in special]
    if ends:
        return ids[: ends[-1] + 1]
    # Without an end the model would never learn to stop.
    return ids if tokenizer.eos_token_id is None else [*ids, tokenizer.eos_token_id]
