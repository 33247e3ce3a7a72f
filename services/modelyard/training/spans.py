"""Tell which tokens of a conversation the assistant says: by the template's own word where it gives one, by comparison where not."""

import os.path
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils.chat_template_utils import render_jinja_template

from modelyard.datasets.conversation import Conversation, Message
from modelyard.domain.errors import InvalidInputError

GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
"""How a template marks what the assistant says."""
PROBES = "012"

Marked = tuple[list[int], list[bool]]
"""(token ids, whether each is learned)"""


def mark_answers(tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> Marked:
    """A conversation as tokens, without what the template writes after the end of the last turn, and the learned ones.

    Raises InvalidInputError that names the line where there is no template, or where it refuses the roles, does not write
    the tools and calls of the row, or writes a turn so that its answer cannot be told.
    """
    if tokenizer.chat_template is None:
        raise InvalidInputError(
            f"the tokenizer of base {os.path.basename(tokenizer.name_or_path)[:12]} has no chat template",
            'use an instruction-tuned base, or rows of {"text": "…"}',
        )
    template = Template(tokenizer, conversation)
    template.require_tools()
    return template.mark_by_generation() if template.states_generation else template.mark_by_comparison()


class Template:
    """A tokenizer's chat template at work on one conversation."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, conversation: Conversation) -> None:
        self.tokenizer, self.conversation = tokenizer, conversation
        self.template = str(tokenizer.get_chat_template(None, conversation.schemas))
        self.whole = self.render(conversation.messages)
        self.special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}

    @property
    def states_generation(self) -> bool:
        """Whether it marks what the assistant says."""
        return GENERATION.search(self.template) is not None and self.tokenizer.is_fast

    def render(self, messages: Sequence[Message], *, invite: bool = False) -> str:
        """The text of some turns. Raises InvalidInputError where the template refuses them."""
        turns = [message.turn() for message in messages]
        try:
            return str(
                self.tokenizer.apply_chat_template(turns, tools=self.conversation.schemas, tokenize=False, add_generation_prompt=invite)
            )
        except (TemplateError, TypeError) as error:
            raise self._refusal(f"the base's chat template refuses the row in line {self._line}: {error}") from None

    def require_tools(self) -> None:
        """Raise InvalidInputError if tools or calls of the row are not in the text: many templates leave them out silently."""
        names = [schema["function"]["name"] for schema in self.conversation.schemas or ()]
        names += [call.name for message in self.conversation.messages for call in message.tool_calls]
        missing = next((name for name in names if name not in self.whole), None)
        if missing is not None:
            raise InvalidInputError(
                f"the base's chat template does not write the tool {missing!r} of the row in line {self._line}",
                "use a base whose template knows tools, or remove the row",
            )

    def mark_by_generation(self) -> Marked:
        """By the spans that the template marks with `{% generation %}`."""
        turns = [message.turn() for message in self.conversation.messages]
        _, (spans,) = render_jinja_template(
            conversations=[turns],
            tools=self.conversation.schemas,
            chat_template=self.template,
            return_assistant_tokens_mask=True,
            **self.tokenizer.special_tokens_map,
        )
        answers = [message.learned for message in self.conversation.messages if message.role == "assistant"]
        if len(spans) != len(answers) and not all(answers):
            raise self._refusal(
                f"the base's chat template marks {len(spans)} spans in the row in line {self._line}, which has {len(answers)} answers,"
                " so their weights cannot be told apart"
            )
        ids, mask, end = self._ids, [False] * len(self._ids), len(self._ids)
        for position, (start, stop) in enumerate(spans):
            inside = [index for index, (left, right) in enumerate(self._offsets) if left < stop and right > start]
            if not inside:
                continue
            end = inside[-1] + 1
            if len(spans) != len(answers) or answers[position]:
                mask[inside[0] : end] = [True] * (end - inside[0])
        return ids[:end], mask[:end]

    def mark_by_comparison(self) -> Marked:
        """By what the text has in common with that of the turns before, and with that of another answer in the same place.

        An answer begins where the template invites to it and ends with the token that ends its turn; what a template
        writes after that (a line break, as a rule) is not learned, and after the last turn dropped.
        """
        ids = self._ids
        mask = [False] * len(ids)
        messages, last = self.conversation.messages, len(self.conversation.messages) - 1
        end = 0
        for index, message in enumerate(messages):
            if message.role != "assistant" or not (message.learned or index == last):
                continue
            start = self._find_start(index, ids)
            if start < end:
                raise self._refusal(f"the answers of the row in line {self._line} cannot be told apart in the base's chat template")
            end = len(ids) if index == last else self._find_end(index)
            if index == last:
                ids, end = self._end_turn(ids, start)
                mask = mask[:end] + [False] * (end - len(mask))
            if message.learned:
                mask[start:end] = [True] * (end - start)
        return ids, mask

    def _find_start(self, index: int, ids: Sequence[int]) -> int:
        """The first token of a turn's answer; a token that spans the seam belongs to it."""
        question = self.render(self.conversation.messages[:index], invite=True) if index else ""
        if self.whole.startswith(question.rstrip()):
            return _shared(ids, self._tokenize(question))
        # What a template writes before an answer may depend on what comes after it.
        begins = _shared(self.whole, self._render_probe(index))
        return next((place for place, (_, right) in enumerate(self._offsets) if right > begins), len(ids))

    def _find_end(self, index: int) -> int:
        """The place after the token that ends a turn which is not the last."""
        ends = len(self.whole) - _shared(self.whole[::-1], self._render_probe(index)[::-1])
        after = 1 + max((place for place, (left, right) in enumerate(self._offsets) if left < ends and right > left), default=-1)
        for place in range(after, len(self._ids)):
            if self._ids[place] in self.special:
                return place + 1
            if self.whole[slice(*self._offsets[place])].strip():
                break
        return after

    def _render_probe(self, index: int) -> str:
        """The text with another answer in place of one, which differs from it at both ends."""
        messages = self.conversation.messages
        said = messages[index].content.strip()
        other = next(probe for probe in PROBES if not said.startswith(probe) and not said.endswith(probe))
        probe = replace(messages[index], content=other, tool_calls=())
        return self.render([*messages[:index], probe, *messages[index + 1 :]])

    def _end_turn(self, ids: list[int], start: int) -> tuple[list[int], int]:
        ends = [index for index in range(start, len(ids)) if ids[index] in self.special]
        if ends:
            ids = ids[: ends[-1] + 1]
        elif self.tokenizer.eos_token_id is not None:
            # Without an end the model would never learn to stop.
            ids = [*ids, self.tokenizer.eos_token_id]
        return ids, len(ids)

    def _tokenize(self, text: str) -> list[int]:
        # The template has written the special tokens already.
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    @cached_property
    def _ids(self) -> list[int]:
        return self._tokenize(self.whole)

    @cached_property
    def _offsets(self) -> list[tuple[int, int]]:
        """Where each token stands in the text: [first character, character after it)."""
        if not self.tokenizer.is_fast:
            raise InvalidInputError(
                f"the base's tokenizer does not tell where tokens stand, and the row in line {self._line} has several answers",
                "use a base with a fast tokenizer, or give weight 0 to all answers but the last",
            )
        return list(self.tokenizer(self.whole, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"])

    @property
    def _line(self) -> str:
        source = f" of {self.conversation.source}" if self.conversation.source else ""
        return f"{self.conversation.line}{source}"

    def _refusal(self, problem: str) -> InvalidInputError:
        return InvalidInputError(problem, "change its roles or their order")


def _shared(one: Sequence[object], other: Sequence[object]) -> int:
    """How many items two sequences have in common at their beginning."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
