from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from modelyard.datasets.rows import Message
from modelyard.evaluation.answers import Answer, Answerer, Tally
from modelyard.evaluation.decoding import kv_bytes_per_token
from modelyard.evaluation.weights import Weights

SHARED = "What comes to your mind when you read this? "
QUESTIONS = ["red", "a much longer question than that", "blue and green", "?", "one two three four five six seven"]


def prompts_of(questions: Sequence[str], start: str = SHARED) -> list[list[Message]]:
    return [[Message("user", start + question)] for question in questions]


def ask(weights: Weights, prompts: Sequence[Sequence[Message]], *, max_tokens: int = 24, **settings: int) -> list[Answer]:
    return Answerer(weights, **settings).answer(
        prompts, max_tokens=max_tokens, is_complete=lambda text: False, on_progress=lambda tally: None
    )


def generate_singly(weights: Weights, prompts: Sequence[Sequence[Message]], max_tokens: int = 24) -> list[str]:
    """What transformers' own `generate` says to each prompt alone."""
    texts = []
    for prompt in prompts:
        turns = [{"role": message.role, "content": message.content} for message in prompt]
        encoding = weights.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, return_tensors="pt")
        output = weights.model.generate(**encoding, do_sample=False, max_new_tokens=max_tokens)
        texts.append(weights.tokenizer.decode(output[0, encoding["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


@pytest.mark.parametrize(
    ("start", "settings"),
    [
        pytest.param(SHARED, {}, id="one batch with a shared beginning"),
        pytest.param(SHARED, {"max_rows": 2}, id="small batches with a shared beginning"),
        pytest.param(SHARED, {"max_rows": 1}, id="one by one with a shared beginning"),
        pytest.param(SHARED, {"kv_budget_bytes": 1}, id="a budget too small for two rows still does one"),
        pytest.param("", {}, id="next to nothing is shared"),
    ],
)
def test_answers_are_those_of_generate_one_by_one(weights: Weights, start: str, settings: dict[str, int]) -> None:
    prompts = prompts_of(QUESTIONS, start)
    answers = ask(weights, prompts, **settings)
    assert [answer.text for answer in answers] == generate_singly(weights, prompts)
    assert len({answer.text for answer in answers}) > 1


def test_a_single_prompt_shares_nothing(weights: Weights) -> None:
    prompts = prompts_of(QUESTIONS[:1])
    assert [answer.text for answer in ask(weights, prompts)] == generate_singly(weights, prompts)


def test_equal_prompts_keep_a_token_of_their_own(weights: Weights) -> None:
    prompts = prompts_of(["red", "red", "red and more"])
    assert [answer.text for answer in ask(weights, prompts)] == generate_singly(weights, prompts)


def test_rows_that_are_done_leave_and_the_others_are_not_disturbed(weights: Weights) -> None:
    prompts = prompts_of(QUESTIONS)
    whole = generate_singly(weights, prompts)
    stops = {text[: 2 + 4 * number] for number, text in enumerate(whole)}
    answers = Answerer(weights).answer(prompts, max_tokens=24, is_complete=lambda text: text in stops, on_progress=lambda tally: None)
    assert [answer.text for answer in answers] == [text[: 2 + 4 * number] for number, text in enumerate(whole)]
    assert all(answer.finished for answer in answers)


def test_an_answer_ends_at_the_token_limit_unfinished(weights: Weights) -> None:
    answer = ask(weights, prompts_of(["red"]), max_tokens=5)[0]
    assert (answer.tokens, answer.finished, answer.error) == (5, False, "")


def test_an_answer_ends_with_the_models_own_end(weights: Weights) -> None:
    text = generate_singly(weights, prompts_of(["red"]))[0]
    number = weights.tokenizer(text[6], add_special_tokens=False)["input_ids"][0]
    answerer = Answerer(weights)
    answerer._ends = {number}
    answer = answerer.answer(prompts_of(["red"]), max_tokens=24, is_complete=lambda text: False, on_progress=lambda tally: None)[0]
    assert answer.finished
    assert answer.text == text[: text.index(text[6])]


def test_a_prompt_longer_than_the_context_has_an_error_and_the_others_their_answers(weights: Weights) -> None:
    prompts = prompts_of(["red", "x" * 600, "blue"])
    answers = ask(weights, prompts)
    assert answers[1].text == ""
    assert "and the model's context holds 512" in answers[1].error
    assert [answers[0].text, answers[2].text] == generate_singly(weights, [prompts[0], prompts[2]])


def test_when_every_prompt_is_too_long_there_are_only_errors(weights: Weights) -> None:
    assert all(answer.error for answer in ask(weights, prompts_of(["x" * 600, "y" * 600])))


def test_an_answer_never_grows_beyond_the_context(weights: Weights) -> None:
    room = 3
    overhead = len(Answerer(weights)._encode(prompts_of([""], "")[0]))
    answer = ask(weights, prompts_of(["x" * (512 - overhead - room)], ""))[0]
    assert (answer.tokens, answer.finished) == (room, False)


def test_progress_counts_rows_once_and_grows(weights: Weights) -> None:
    tallies: list[Tally] = []
    prompts = prompts_of(["red", "blue", "x" * 600])
    Answerer(weights).answer(prompts, max_tokens=8, is_complete=lambda text: False, on_progress=tallies.append)
    assert tallies[0].rows == 1
    assert tallies[-1].rows == 3
    assert tallies[-1].share == pytest.approx(1.0)
    assert [tally.share for tally in tallies] == sorted(tally.share for tally in tallies)
    assert tallies[-1].tokens == 16


def test_bytes_in_the_cache(weights: Weights, tokenizer: PreTrainedTokenizerFast) -> None:
    # 2 of keys and values × 2 layers × 2 key heads × 16 wide × 4 bytes
    assert kv_bytes_per_token(weights.model) == 512
    assert weights.model.dtype == torch.float32
