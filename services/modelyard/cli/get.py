"""`modelyard get`: list resources as a table, or print them as documents."""

import json
from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from modelyard.cli.kinds import label_of, parse_keys, parse_kinds, words_of
from modelyard.cli.options import Namespace, Watch, complete_words, examples
from modelyard.cli.session import Session, session_of
from modelyard.cli.tables import View, build_table
from modelyard.cli.watching import changes
from modelyard.domain.model import ModelVersion
from modelyard.domain.resource import Resource

app = typer.Typer()


class Format(StrEnum):
    """How resources are printed."""

    TABLE = "table"
    WIDE = "wide"
    YAML = "yaml"
    JSON = "json"
    NAME = "name"


@app.command(
    epilog=examples("get models", "get models,kb", "get all -A", "get mv -o wide", "get model/support-bot -o yaml", "get models --watch")
)
def get(
    context: typer.Context,
    words: Annotated[
        list[str], typer.Argument(metavar="KIND,… | KIND NAME | KIND/NAME", autocompletion=complete_words, show_default=False)
    ],
    output: Annotated[Format, typer.Option("--output", "-o", help="How to print.")] = Format.TABLE,
    watch: Watch = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Look in every namespace.")] = False,
    namespace: Namespace = "default",
) -> None:
    """List resources: models (mdl), modelversions (mv), evaluations (eval), knowledgebases (kb), some of these, or all."""
    from rich.live import Live

    session = session_of(context)
    query = _Query(session, words, None if all_namespaces else namespace, output)
    if not watch:
        query.show(query.find())
    elif output in (Format.TABLE, Format.WIDE) and session.out.is_terminal:
        with Live(console=session.out, auto_refresh=False) as live:
            for _ in changes(session):
                live.update(query.render(query.find()), refresh=True)
    else:
        _follow(session, query)


class _Query:
    """What one call of `get` asks for."""

    def __init__(self, session: Session, words: Sequence[str], namespace: str | None, output: Format) -> None:
        self.session, self.words, self.namespace, self.output = session, words, namespace, output

    def find(self) -> list[Resource]:
        """The resources, by kind. Raises NotFoundError for a name that there is not."""
        store = self.session.store
        if not self._names_some:
            return [resource for kind in self._kinds for resource in store.list(kind, self.namespace)]
        found = [store.get(*key) for key in parse_keys(self.words, self.namespace or "default")]
        return sorted(found, key=lambda resource: resource.kind)

    def show(self, resources: list[Resource]) -> None:
        """Print resources once."""
        if self.output in (Format.TABLE, Format.WIDE):
            if resources:
                self.session.show(self.render(resources))
            else:
                self.session.err.print(self._nothing(), markup=False)
        elif self.output == Format.NAME:
            for resource in resources:
                self.session.say(label_of(resource))
        else:
            self.session.say(_serialize(resources, self.output, single=self._names_some and len(resources) == 1))

    def render(self, resources: list[Resource]) -> RenderableType:
        """One table for each kind."""
        if not resources:
            return Text(self._nothing())
        versions = [found for found in self.session.store.list("ModelVersion") if isinstance(found, ModelVersion)]
        view = View(self.session.clock(), versions)
        kinds = [list(group) for _, group in groupby(resources, key=lambda resource: resource.kind)]
        tables: list[RenderableType] = []
        for group in kinds:
            table = build_table(
                group,
                view,
                wide=self.output == Format.WIDE,
                namespaces=self.namespace is None,
                prefixed=len(kinds) > 1 or (not self._names_some and len(self._kinds) > 1),
            )
            tables += [table, Text("")]
        return Group(*tables[:-1])

    @property
    def _names_some(self) -> bool:
        """Whether resources are named, rather than all of some kinds asked for."""
        return len(self.words) > 1 or "/" in self.words[0]

    @property
    def _kinds(self) -> tuple[str, ...]:
        return parse_kinds(self.words[0])

    def _nothing(self) -> str:
        plural = "resources" if len(self._kinds) > 2 else " or ".join(words_of(kind)[1] for kind in self._kinds)
        where = "" if self.namespace is None else f" in namespace {self.namespace!r}"
        return f"no {plural}{where}; make one with `modelyard apply -f FILE`"


def _follow(session: Session, query: _Query) -> None:
    """Print all once, then whatever changed."""
    printed: dict[str, int] = {}
    for _ in changes(session):
        found = query.find()
        changed = [resource for resource in found if printed.get(resource.metadata.uid) != resource.metadata.resource_version]
        if changed or not printed:
            query.show(changed)
        printed |= {resource.metadata.uid: resource.metadata.resource_version for resource in changed}


def _serialize(resources: list[Resource], output: Format, *, single: bool) -> str:
    """One document, or the List that kubectl prints for several."""
    import yaml

    items = [resource.wire() for resource in resources]
    document: dict[str, Any] = items[0] if single else {"apiVersion": "v1", "kind": "List", "items": items}
    if output == Format.JSON:
        return json.dumps(document, indent=2, ensure_ascii=False)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip()
