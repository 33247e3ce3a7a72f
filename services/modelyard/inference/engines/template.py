"""Turn chat messages into prompt token ids by the template that comes with the weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.domain.errors import InvalidInputError


def render_chat(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Token ids up to where the assistant's answer begins. Raises InvalidInputError with the template's own complaint."""
    if tokenizer.chat_template is None:
        raise InvalidInputError("the weights carry no chat template", "use an instruction-tuned model, or add chat_template.jinja to them")
    # The template is code of the model's author; whatever it raises is about these messages.
    try:
        ids = tokenizer.apply_chat_template([dict(message) for message in messages], add_generation_prompt=True, return_dict=False)
    except Exception as error:
        raise InvalidInputError(f"the model's chat template refuses these messages: {error}", "change the roles or their order") from error
    return [int(token) for token in ids]
