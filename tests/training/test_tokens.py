import pytest
from transformers import PreTrainedTokenizerFast

from modelyard.datasets.conversation import Conversation, Message, Text
from modelyard.domain.errors import InvalidInputError
from modelyard.training.tokens import Example, encode, fit, load_tokenizer

QUESTION = Message("user", "2+2?")
ROW = Conversation((QUESTION, Message("assistant", "It is 4.")), line=1)


def test_the_answer_and_its_end_are_learned_and_nothing_else(tokenizer: PreTrainedTokenizerFast) -> None:
    example = encode(tokenizer, ROW)
    assert tokenizer.decode(list(example.ids)) == "<|start|>user\n2+2?<|end|>\n<|start|>assistant\nIt is 4.<|end|>"
    assert example.mask == (False,) * (len(example.ids) - 9) + (True,) * 9
    assert example.learned == len("It is 4.") + 1
    assert not example.truncated


def test_of_a_text_all_is_learned_but_the_first_token_which_nothing_foretells(tokenizer: PreTrainedTokenizerFast) -> None:
    example = encode(tokenizer, Text("Once.", line=1))
    assert tokenizer.decode(list(example.ids)) == "Once.<|end|>"
    assert example.mask == (False, True, True, True, True, True)
    assert encode(tokenizer, Text("Once.<|end|>", line=1)).ids == example.ids  # not ended twice


def test_equal_rows_have_equal_digests_wherever_they_stand(tokenizer: PreTrainedTokenizerFast) -> None:
    moved = Conversation(ROW.messages, line=9, source="elsewhere.jsonl")
    other = Conversation((QUESTION, Message("assistant", "5")), line=1)
    assert encode(tokenizer, ROW) == encode(tokenizer, moved) != encode(tokenizer, other)


LONG = Example((1, 2, 3, 4, 5), (False, False, True, True, True), "d")


@pytest.mark.parametrize(
    ("overlong", "left"),
    [
        pytest.param("cut", [Example((1, 2, 3), (False, False, True), "d", truncated=True)], id="cut at its end, and says so"),
        pytest.param("drop", [], id="left out"),
        pytest.param("split", [Example((1, 2, 3), (False, False, True), "d"), Example((4, 5), (False, True), "d")], id="goes on"),
    ],
)
def test_what_is_longer_than_a_row(overlong: str, left: list[Example]) -> None:
    assert fit(LONG, 3, overlong) == left  # type: ignore[arg-type]
    assert fit(LONG, 5, overlong) == [LONG]  # type: ignore[arg-type]


def test_a_base_without_a_chat_template_learns_texts_and_refuses_conversations(
    tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>").save_pretrained(folder)
    plain = load_tokenizer(folder)
    assert plain.pad_token_id == plain.eos_token_id
    assert encode(plain, Text("Once.", 1)).learned == 5
    with pytest.raises(InvalidInputError, match=r"base plain\w* has no chat template; use an instruction-tuned base, or rows of"):
        encode(plain, ROW)
