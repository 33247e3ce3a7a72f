"""`modelyard chat`: ask a served model, as any OpenAI client would. Knows the wire, and no resource."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelyard.cli.options import complete_models, examples
from modelyard.cli.session import Session, session_of
from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError, UnavailableError
from modelyard.operator.state import read_state

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

MAX_RETRIES = 1
QUOTE_LENGTH = 160

app = typer.Typer()


@app.command(
    epilog=examples(
        'chat support-bot "How do I reset my password?"',
        'chat support-bot:base --kb handbook "Who approves travel?"',
        "chat support-bot",
        "chat support-bot < question.txt",
    )
)
def chat(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A served name: MODEL, MODEL:base or MODEL:VERSION.", autocompletion=complete_models)],
    prompt: Annotated[
        str | None, typer.Argument(help="The question; without it, standard input or a conversation.", show_default=False)
    ] = None,
    knowledge_base: Annotated[
        list[str] | None, typer.Option("--kb", metavar="NAME", help="Ground the answer in this knowledge base.", show_default=False)
    ] = None,
    system: Annotated[str, typer.Option(metavar="TEXT", help="A system message.")] = "",
    temperature: Annotated[float, typer.Option(min=0.0, help="0 always takes the likeliest word.")] = 0.0,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Stop the answer after this many.", show_default=False)] = None,
) -> None:
    """Ask a served model and print its answer as it comes, with its sources."""
    session = session_of(context)
    talk = _Talk(session, model, knowledge_base or [], {"temperature": temperature, "max_tokens": max_tokens})
    if system:
        talk.messages.append({"role": "system", "content": system})
    stdin = typer.get_text_stream("stdin")
    if prompt is None and stdin.isatty():
        _converse(session, talk)
        return
    question = stdin.read() if prompt is None else prompt
    if not question.strip():
        raise InvalidInputError("there is no question", 'give one: modelyard chat MODEL "…"')
    talk.ask(question)


class _Talk:
    """A conversation with one model."""

    def __init__(self, session: Session, model: str, knowledge_bases: list[str], options: Mapping[str, Any]) -> None:
        # The client takes a second to import: no other command waits for it.
        from openai import OpenAI

        state = read_state(session.settings)
        self.endpoint = f"http://127.0.0.1:{state.port}/v1" if state else session.settings.endpoint
        self.client = OpenAI(base_url=self.endpoint, api_key="unused", max_retries=MAX_RETRIES)
        self.session, self.model, self.knowledge_bases = session, model, knowledge_bases
        self.options = {name: value for name, value in options.items() if value is not None}
        self.messages: list[ChatCompletionMessageParam] = []

    def ask(self, question: str) -> None:
        """Print the answer as it comes, then what it cites. Raises ModelyardErrors for what the endpoint answers instead."""
        from openai import APIConnectionError, APIError
        from openai import NotFoundError as NoSuchModelError

        self.messages.append({"role": "user", "content": question})
        try:
            self.messages.append({"role": "assistant", "content": self._stream()})
        except NoSuchModelError as error:
            problem = f"{self.endpoint} has no model {self.model!r}: {_words_of(error)}"
            raise NotFoundError(problem, "`modelyard get models -o wide` lists what is served") from error
        except APIConnectionError as error:
            raise UnavailableError(f"{self.endpoint} does not answer", "run `modelyard up`, or see `modelyard status`") from error
        except APIError as error:
            raise ModelyardError(f"{self.model} gave no answer: {_words_of(error)}", "see `modelyard status`") from error

    def _stream(self) -> str:
        tools = [{"type": "file_search", "vector_store_ids": self.knowledge_bases}] if self.knowledge_bases else None
        answer, extra = "", dict[str, Any]()
        stream = self.client.chat.completions.create(
            model=self.model,
            messages=self.messages,
            stream=True,
            extra_body={"tools": tools} if tools else None,
            **self.options,
        )
        for chunk in stream:
            extra |= chunk.model_extra or {}
            text = chunk.choices[0].delta.content or "" if chunk.choices else ""
            answer += text
            self.session.out.out(text, end="", highlight=False)
        self.session.out.out("")
        self._cite(extra)
        return answer

    def _cite(self, extra: Mapping[str, Any]) -> None:
        citations = extra.get("citations") or []
        for citation in citations:
            quote = " ".join(str(citation.get("text") or citation.get("quote") or "").split())
            short = quote if len(quote) <= QUOTE_LENGTH else f"{quote[: QUOTE_LENGTH - 1]}…"
            self.session.say(f"[{citation.get('index')}] {citation.get('file')}: {short}")
        if self.knowledge_bases and not citations:
            self.session.warn("the answer cites nothing from the knowledge base")
        elif extra.get("grounded") is False:
            self.session.warn("part of the answer is not supported by what it cites")


def _converse(session: Session, talk: _Talk) -> None:
    """Question and answer until Ctrl-D."""
    session.err.print(f"talking to {talk.model}; end with Ctrl-D", style="dim")
    while True:
        try:
            question = session.err.input("[bold]you>[/] ")
        except EOFError:
            session.err.print()
            return
        if question.strip():
            talk.ask(question)


def _words_of(error: Exception) -> str:
    """What the endpoint says in its OpenAI error document, on one line."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(said or error).split())
