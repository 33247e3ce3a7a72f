"""Which tokens are learned, in templates of every kind. The byte tokenizer has a token a character, so texts tell tokens."""

from collections.abc import Sequence

import pytest
from transformers import PreTrainedTokenizerFast

from modelyard.datasets.conversation import Conversation, Message, ToolCall
from modelyard.domain.errors import InvalidInputError
from modelyard.training.spans import mark_answers

SYSTEM, ASKED, AGAIN = Message("system", "Sum."), Message("user", "2+2?"), Message("user", "3+3?")
FOUR, SIX = Message("assistant", "It is 4."), Message("assistant", "It is 6.")
TURNS = (SYSTEM, ASKED, FOUR, AGAIN, SIX)
WEATHER = '[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]'
CALL = Message("assistant", "", tool_calls=(ToolCall("weather", '{"city": "Rome"}'),))
TOOL_TURNS = (ASKED, CALL, Message("tool", "sun"), SIX)

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|start|>system\nYou are a helpful AI"
    " assistant<|end|>\n' }}{% endif %}{{'<|start|>' + message['role'] + '\n' + message['content'] + '<|end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant\n' }}{% endif %}"
)
LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% elif m.role == 'assistant' %}"
    " {{ m.content | trim }} {{ eos_token }}{% endif %}{% endfor %}"
)
GENERATION = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|end|>{% endif %}\n{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
QWEN3 = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}{% if m.role == 'user' %}{% if loop.index0 >= messages | length - 2 %}[TOOLS]{% endif %}[INST]{{ m.content }}"
    "[/INST]{% elif m.role == 'assistant' %} {{ m.content }}<|end|>{% endif %}{% endfor %}"
)
TOOLS = (
    "{% if tools %}<|start|>tools\n{{ tools | tojson }}<|end|>\n{% endif %}{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls %}<call>{{ call.function | tojson }}</call>{% endfor %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)


def with_template(tokenizer: PreTrainedTokenizerFast, template: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>", additional_special_tokens=["<|start|>"], chat_template=template
    )


def learned(tokenizer: PreTrainedTokenizerFast, template: str, messages: Sequence[Message], tools: str = "") -> list[str]:
    """The texts of the runs of learned tokens."""
    tokenizer = with_template(tokenizer, template)
    ids, mask = mark_answers(tokenizer, Conversation(tuple(messages), 1, tools))
    assert len(ids) == len(mask)
    runs: list[list[int]] = []
    for index, (token, chosen) in enumerate(zip(ids, mask, strict=True)):
        if chosen and not (index and mask[index - 1]):
            runs.append([])
        if chosen:
            runs[-1].append(token)
    return [str(tokenizer.decode(run)) for run in runs]


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        pytest.param(SMOLLM, ["It is 4.<|end|>", "It is 6.<|end|>"], id="ChatML"),
        pytest.param(LLAMA2, [" It is 4. <|end|>", " It is 6. <|end|>"], id="no invitation, a space before the answer and its end"),
        pytest.param(GENERATION, ["It is 4.<|end|>", "It is 6.<|end|>"], id="the template's own spans"),
        pytest.param(QWEN3, ["It is 4.<|end|>", "<think>\n\n</think>\n\nIt is 6.<|end|>"], id="the last answer is written otherwise"),
        pytest.param(MISTRAL, ["It is 4.<|end|>", " It is 6.<|end|>"], id="the last question is written otherwise"),
    ],
)
def test_every_answer_and_its_end_are_learned(tokenizer: PreTrainedTokenizerFast, template: str, texts: list[str]) -> None:
    assert learned(tokenizer, template, TURNS) == texts


@pytest.mark.parametrize("template", [SMOLLM, LLAMA2, GENERATION, QWEN3, MISTRAL])
def test_an_answer_of_weight_0_is_not_learned(tokenizer: PreTrainedTokenizerFast, template: str) -> None:
    first, last = Message("assistant", "It is 4.", learned=False), Message("assistant", "It is 6.", learned=False)
    assert ["It is 6." in text for text in learned(tokenizer, template, (ASKED, first, AGAIN, SIX))] == [True]
    assert [text.strip()[:8] for text in learned(tokenizer, template, (ASKED, FOUR, AGAIN, last))] == ["It is 4."]
    assert learned(tokenizer, template, (ASKED, first, AGAIN, last)) == []


def test_marked_spans_are_those_of_transformers(tokenizer: PreTrainedTokenizerFast) -> None:
    marked = with_template(tokenizer, GENERATION)
    ids, mask = mark_answers(marked, Conversation(TURNS, 1))
    theirs = marked.apply_chat_template(
        [turn.turn() for turn in TURNS], tokenize=True, return_dict=True, return_assistant_tokens_mask=True, return_tensors=None
    )
    assert [int(chosen) for chosen in mask] == theirs["assistant_masks"][: len(ids)]
    assert (ids, sum(mask)) == (theirs["input_ids"][: len(ids)], sum(theirs["assistant_masks"]))


def test_spans_and_comparison_agree(tokenizer: PreTrainedTokenizerFast) -> None:
    plain = GENERATION.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    marked = [mark_answers(with_template(tokenizer, template), Conversation(TURNS, 1)) for template in (GENERATION, plain)]
    assert marked[0] == marked[1]


@pytest.mark.parametrize("template", [SMOLLM, LLAMA2])
@pytest.mark.parametrize("answer", ["4", " It is 4.\n", "0", "é🙂", "1 is 4 - 3, not 2", "<|end|> ends"])
def test_a_single_turn_learns_what_comes_after_the_tokens_of_the_question(
    tokenizer: PreTrainedTokenizerFast, template: str, answer: str
) -> None:
    """What the trainer did before it learned several turns: the reference is that code."""
    tokenizer = with_template(tokenizer, template)
    turns = [ASKED.turn(), {"role": "assistant", "content": answer}]
    whole, question = (
        tokenizer(tokenizer.apply_chat_template(part, tokenize=False, add_generation_prompt=invite), add_special_tokens=False)["input_ids"]
        for part, invite in ((turns, False), (turns[:1], True))
    )
    start = next((i for i, (a, b) in enumerate(zip(whole, question, strict=False)) if a != b), min(len(whole), len(question)))
    end = 1 + max(i for i in range(start, len(whole)) if whole[i] in tokenizer.all_special_ids)
    expected = whole[:end], [index >= start for index in range(end)]
    assert mark_answers(tokenizer, Conversation((ASKED, Message("assistant", answer)), 1)) == expected


def test_calls_are_learned_and_what_tools_say_is_not(tokenizer: PreTrainedTokenizerFast) -> None:
    call = '<call>{"name": "weather", "arguments": {"city": "Rome"}}</call><|end|>'
    assert learned(tokenizer, TOOLS, TOOL_TURNS, WEATHER) == [call, "It is 6.<|end|>"]


@pytest.mark.parametrize(("turns", "tools"), [pytest.param(TOOL_TURNS, "", id="calls"), pytest.param((ASKED, SIX), WEATHER, id="tools")])
def test_a_template_that_leaves_out_tools_or_calls_is_refused(
    tokenizer: PreTrainedTokenizerFast, turns: tuple[Message, ...], tools: str
) -> None:
    with pytest.raises(InvalidInputError, match="does not write the tool 'weather' of the row in line 1; use a base whose template"):
        learned(tokenizer, SMOLLM, turns, tools)


def test_a_template_that_does_not_end_the_turn_is_mended(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    assert learned(tokenizer, bare, (ASKED, FOUR)) == [" It is 4.\n<|end|>"]


def test_a_token_across_the_seam_belongs_to_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    # The template invites with a space that the whole text does not have.
    spaced = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %} {% endif %}"
    assert learned(tokenizer, spaced, (ASKED, FOUR)) == ["It is 4.<|end|>"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        pytest.param("{{ raise_exception('no system role') }}", "line 1 of a.jsonl: no system role; change its roles", id="says so"),
        pytest.param("{{ messages[0].content + 1 }}", "line 1 of a.jsonl: can only concatenate", id="breaks"),
        pytest.param(
            "{% generation %}{{ messages[2].content }}{% endgeneration %}",
            "marks 1 spans in the row in line 1 of a.jsonl, which has 2 answers, so their weights cannot be told apart",
            id="marks several answers as one",
        ),
    ],
)
def test_a_row_that_the_template_cannot_take_is_named_by_line(tokenizer: PreTrainedTokenizerFast, template: str, message: str) -> None:
    row = Conversation((SYSTEM, ASKED, FOUR, AGAIN, Message("assistant", "6", learned=False)), 1, source="a.jsonl")
    with pytest.raises(InvalidInputError, match=message):
        mark_answers(with_template(tokenizer, template), row)
