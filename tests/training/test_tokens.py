import pytest
from transformers import PreTrainedTokenizerFast

from modelyard.datasets.rows import Conversation, Message
from modelyard.domain.errors import InvalidInputError
from modelyard.training.tokens import encode, load_tokenizer

QUESTION = Message("user", "2+2?")
ROW = Conversation((QUESTION, Message("assistant", "It is 4.")), line=1)


def learned_text(tokenizer: PreTrainedTokenizerFast, row: Conversation, max_length: int = 1000) -> str:
    example = encode(tokenizer, row, max_length)
    return str(tokenizer.decode(list(example.ids[example.learn_from :])))


def test_the_answer_and_its_end_are_learned_and_nothing_else(tokenizer: PreTrainedTokenizerFast) -> None:
    example = encode(tokenizer, ROW, 1000)
    assert tokenizer.decode(list(example.ids)) == "<|start|>user\n2+2?<|end|>\n<|start|>assistant\nIt is 4.<|end|>"
    assert tokenizer.decode(list(example.ids[: example.learn_from])) == "<|start|>user\n2+2?<|end|>\n<|start|>assistant\n"
    assert learned_text(tokenizer, ROW) == "It is 4.<|end|>"
    assert example.learned == len("It is 4.") + 1
    assert not example.truncated


def test_of_several_answers_only_the_last_is_learned(tokenizer: PreTrainedTokenizerFast) -> None:
    row = Conversation(
        (Message("system", "Sum."), QUESTION, Message("assistant", "5"), Message("user", "No."), Message("assistant", "4")), 1
    )
    assert learned_text(tokenizer, row) == "4<|end|>"


def test_a_long_row_is_cut_at_its_end_and_says_so(tokenizer: PreTrainedTokenizerFast) -> None:
    whole = encode(tokenizer, ROW, 1000)
    cut = encode(tokenizer, ROW, len(whole.ids) - 3)
    assert cut.ids == whole.ids[:-3]
    assert (cut.truncated, cut.learned, cut.digest) == (True, whole.learned - 3, whole.digest)


def test_nothing_is_learned_where_the_question_fills_the_row(tokenizer: PreTrainedTokenizerFast) -> None:
    assert encode(tokenizer, ROW, 10).learned == 0


def test_a_template_that_does_not_end_the_turn_is_mended(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>")
    bare.chat_template = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    assert learned_text(bare, ROW) == " It is 4.\n<|end|>"


def test_a_token_across_the_seam_belongs_to_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    # The template invites with a space that the whole text does not have.
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt %} {% endif %}"
    assert learned_text(tokenizer, ROW) == "It is 4.<|end|>"


def test_equal_conversations_have_equal_digests_wherever_they_stand(tokenizer: PreTrainedTokenizerFast) -> None:
    moved = Conversation(ROW.messages, line=9)
    other = Conversation((QUESTION, Message("assistant", "5")), line=1)
    assert encode(tokenizer, ROW, 99).digest == encode(tokenizer, moved, 99).digest != encode(tokenizer, other, 99).digest


def test_roles_that_the_template_refuses_are_named_by_line(tokenizer: PreTrainedTokenizerFast) -> None:
    strict = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>")
    strict.chat_template = "{{ raise_exception('no system role') }}"
    with pytest.raises(InvalidInputError, match="refuses the row in line 1: no system role; change its roles"):
        encode(strict, ROW, 99)


def test_a_base_without_a_chat_template_is_refused(tokenizer: PreTrainedTokenizerFast, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("plain")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, eos_token="<|end|>").save_pretrained(folder)
    with pytest.raises(InvalidInputError, match="has no chat template; use an instruction-tuned base"):
        load_tokenizer(folder)
