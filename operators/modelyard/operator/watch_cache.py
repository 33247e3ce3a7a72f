"""The objects as the watches told them. Knows neither the API nor what the objects mean."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modelyard.operator.kubernetes_objects import version_of, without_ballast

Key = tuple[str, str, str]
Document = dict[str, Any]
Documents = list[Document]
"""An alias, since `list` means something else inside WatchCache."""


def key_of(document: Mapping[str, Any]) -> Key:
    """(kind, namespace, name)."""
    metadata = document["metadata"]
    return (document["kind"], metadata.get("namespace", ""), metadata["name"])


class WatchCache:
    """Newest known version of each object, without what nobody looks at. Thread-safe.

    Events may come late, twice or out of order, and our own writes are put in before their events arrive: what is older than
    what is known changes nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: dict[tuple[str, str], dict[str, Document]] = {}
        self._of_model: dict[Key, dict[str, Document]] = {}
        """The same documents by (kind, namespace, `spec.model`), those that have one: a namespace may hold thousands."""
        self._gone: dict[Key, int] = {}
        """The version at which an object went, so that a late event does not bring it back."""
        self._listed: dict[str, int] = {}
        """The version at which a kind was listed whole: what is unknown and not newer was gone by then."""

    def put(self, document: Document) -> bool:
        """Take an object over; False if it is not newer than what is known."""
        kind, namespace, name = key = key_of(document)
        version = version_of(document)
        with self._lock:
            known = self._documents.setdefault((kind, namespace), {})
            newest = version_of(known[name]) if name in known else max(self._gone.get(key, 0), self._listed.get(kind, 0))
            if version <= newest:
                return False
            self._gone.pop(key, None)
            self._unlink(key)
            known[name] = kept = without_ballast(document)
            if model := _model_of(kept):
                self._of_model.setdefault((kind, namespace, model), {})[name] = kept
            return True

    def drop(self, document: Document) -> bool:
        """Take over that an object is gone; False if a newer one of that name is known."""
        kind, namespace, name = key = key_of(document)
        version = version_of(document)
        with self._lock:
            known = self._documents.get((kind, namespace), {})
            if name in known and version_of(known[name]) > version:
                return False
            self._gone[key] = max(version, self._gone.get(key, 0))
            return self._forget(key)

    def replace(self, kind: str, documents: Iterable[Document], list_version: int, of: str | None = None) -> list[Key]:
        """Take a whole list of a kind in a namespace (None: in all) over; returns the keys that changed.

        Heals what watches have missed.

        list_version: resourceVersion of the list; what is newer was made after it and stays.
        """
        listed = {key_of(document): document for document in documents}
        changed = [key for key, document in listed.items() if self.put(document)]
        with self._lock:
            if of is None:
                self._listed[kind] = max(list_version, self._listed.get(kind, 0))
                self._gone = {key: version for key, version in self._gone.items() if key[0] != kind or version > list_version}
            for (other, namespace), known in self._documents.items():
                if other != kind or of not in (None, namespace):
                    continue
                for name in [name for name in known if (kind, namespace, name) not in listed]:
                    if version_of(known[name]) <= list_version:
                        self._forget((kind, namespace, name))
                        changed.append((kind, namespace, name))
        return changed

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """An object, or None. Not to be changed."""
        with self._lock:
            return self._documents.get((kind, namespace), {}).get(name)

    def list(self, kind: str, namespace: str | None = None, keep: Callable[[Document], bool] = lambda document: True) -> list[Document]:
        """The objects of a kind in a namespace (None: in all) that `keep` is true for. Not to be changed."""
        with self._lock:
            places = [known for (other, place), known in self._documents.items() if other == kind and namespace in (None, place)]
            found = [document for known in places for document in known.values()]
        return [document for document in found if keep(document)]

    def list_of_model(self, kind: str, namespace: str, model: str) -> Documents:
        """The objects of a kind whose `spec.model` is this one. Not to be changed."""
        with self._lock:
            return [*self._of_model.get((kind, namespace, model), {}).values()]

    def _forget(self, key: Key) -> bool:
        """False if it was not known. The lock is held."""
        self._unlink(key)
        return self._documents.get(key[:2], {}).pop(key[2], None) is not None

    def _unlink(self, key: Key) -> None:
        kind, namespace, name = key
        former = self._documents.get((kind, namespace), {}).get(name)
        place = (kind, namespace, _model_of(former or {}))
        if place in self._of_model:
            self._of_model[place].pop(name, None)
            if not self._of_model[place]:
                del self._of_model[place]


def _model_of(document: Document) -> str:
    return str((document.get("spec") or {}).get("model", ""))
