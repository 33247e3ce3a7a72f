"""`modelyard refresh`: have a resource look at the world now. Decides nothing: it leaves a request on the resource."""

import typer

from modelyard.cli.kinds import label_of, parse_key
from modelyard.cli.options import Namespace, Words, examples
from modelyard.cli.session import session_of
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.evaluation import Evaluation
from modelyard.domain.knowledge_base import KnowledgeBase
from modelyard.domain.model import Model
from modelyard.domain.refresh import REFRESH_ANNOTATION
from modelyard.domain.resource import Resource

app = typer.Typer()


@app.command(epilog=examples("refresh model support-bot", "refresh evaluation/nightly", "refresh kb handbook"))
def refresh(context: typer.Context, words: Words, namespace: Namespace = "default") -> None:
    """Look now: train a model on its rows as they are, ask an evaluation, or take up documents, without waiting for a tick."""
    session = session_of(context)
    resource = session.store.get(*parse_key(words, namespace))
    wanted = _describe(resource)
    annotations = {**resource.metadata.annotations, REFRESH_ANNOTATION: session.clock().isoformat(timespec="milliseconds")}
    metadata = resource.metadata.model_copy(update={"annotations": annotations})
    session.store.apply(resource.model_copy(update={"metadata": metadata}))
    session.say(f"{label_of(resource)}: {wanted}")


def _describe(resource: Resource) -> str:
    """What will be done. Raises InvalidInputError for a resource that has nothing to look at, or looks by itself."""
    name = label_of(resource)
    match resource:
        case Model(spec=spec) if spec.fine_tune is None:
            raise InvalidInputError(f"{name} is not tuned, so there are no rows to train on", "add spec.fineTune, or name another model")
        case Model(spec=spec) if spec.retrain == "on-change":
            raise InvalidInputError(f"{name} trains by itself when its rows change", "see `modelyard describe` for how far it is")
        case Model():
            return "it is trained on its rows as they are now, if they changed"
        case Evaluation():
            return "the version that is active now is asked, on the rows as they are now"
        case KnowledgeBase(spec=spec) if spec.refresh is None:
            raise InvalidInputError(f"{name} has no spec.refresh: it takes up changed documents by itself", "see `modelyard describe`")
        case KnowledgeBase():
            return "its documents are taken up as they are now"
        case _:
            raise InvalidInputError(f"{name} is a {resource.kind}, which never changes", "refresh the Model that it belongs to")
