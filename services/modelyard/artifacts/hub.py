"""Weights in a model repository of the Hugging Face Hub, pinned to a commit."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils.tqdm import tqdm

from modelyard.artifacts.formats import is_wanted
from modelyard.artifacts.supply import Advance, SourceFile, Supply, select_files
from modelyard.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from modelyard.domain.model import Source

SCHEME = "hf://"
PLACE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:/(?P<file>.+))?")


def open_hub(source: Source, endpoint: str | None = None) -> Supply:
    """The weights at `hf://ORG/NAME`, or one of its files at `hf://ORG/NAME/FILE`.

    endpoint: base URL of a hub or mirror; None: what huggingface_hub finds in its settings, as with the token.
    Raises NotFoundError, InvalidInputError for unusable files or missing rights, UnavailableError when the hub does not answer.
    """
    place = PLACE.fullmatch(source.uri.removeprefix(SCHEME).strip("/"))
    if not place:
        raise InvalidInputError(f"{source.uri} is not hf://ORG/NAME", "give a branch, tag or commit as source.revision")
    repository = place["repository"]
    with explained(source):
        info = HfApi(endpoint=endpoint).model_info(repository, revision=source.revision, files_metadata=True)
    commit = str(info.sha)
    files = [_source_file(sibling) for sibling in info.siblings or []]
    if place["file"]:
        names = ", ".join(file.path for file in files if is_wanted(file.path)) or "no usable files"
        files = [file for file in files if file.path == place["file"]]
        if not files:
            raise NotFoundError(f"{source.uri} is not in {repository}; it has {names}", "correct source.uri")
    return Supply(
        uri=source.uri,
        files=select_files(source.uri, files),
        copy=partial(_copy, source, repository, commit, endpoint),
        revision=commit,
        licence=_licence(info),
    )


@contextmanager
def explained(source: Source) -> Iterator[None]:
    """Turn what huggingface_hub raises into errors with a remedy."""
    uri = source.uri
    try:
        yield
    except GatedRepoError:
        raise InvalidInputError(f"{uri} is gated", "accept its licence on the hub and set HF_TOKEN to a token that may read it") from None
    except RepositoryNotFoundError:
        raise NotFoundError(f"{uri} is not on the hub, or is private", "correct source.uri, or set HF_TOKEN") from None
    except RevisionNotFoundError:
        raise NotFoundError(f"{uri} has no revision {source.revision!r}", "set source.revision to a branch, tag or commit") from None
    except HFValidationError:
        raise InvalidInputError(f"{uri} is not hf://ORG/NAME", "correct source.uri") from None
    except OfflineModeIsEnabled:
        raise UnavailableError(f"{uri} cannot be fetched while HF_HUB_OFFLINE is set", "unset it, or use a file:// source") from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise UnavailableError(f"{uri}: the hub answered {status}", "the next attempt goes on where this one stopped") from None
    except OSError as error:
        if error.errno is not None:
            raise
        # Without a number it is huggingface_hub's own: fewer or more bytes came than were announced.
        raise UnavailableError(f"{uri}: {error}", "the next attempt goes on where this one stopped") from None
    except Exception as error:
        if not _is_transport_error(error):
            raise
        problem = f"{uri}: the connection to the hub failed ({type(error).__name__}: {error})"
        raise UnavailableError(problem, "check the network; the next attempt goes on where this one stopped") from None


def _copy(source: Source, repository: str, commit: str, endpoint: str | None, file: SourceFile, target: Path, advance: Advance) -> None:
    url = hf_hub_url(repository, file.path, revision=commit, endpoint=endpoint)
    with explained(source), target.open("ab") as sink:
        http_get(
            url,
            sink,
            resume_size=sink.tell(),
            headers=build_hf_headers(library_name="modelyard"),
            expected_size=file.size_bytes,
            displayed_filename=file.path,
            tqdm_class=_gauge(advance),
        )


def _gauge(advance: Advance) -> type[tqdm]:
    """A silent progress bar that hands the bytes on."""

    class Gauge(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            advance(int(n or 0))
            return None

    return Gauge


def _source_file(sibling: Any) -> SourceFile:
    lfs = sibling.lfs
    size = sibling.size if sibling.size is not None else (lfs.size if lfs else 0)
    return SourceFile(
        path=sibling.rfilename, size_bytes=int(size), version=str(sibling.blob_id or ""), sha256=str(lfs.sha256) if lfs else ""
    )


def _licence(info: ModelInfo) -> str:
    stated = info.card_data.get("license") if info.card_data else None
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return str(stated or next(iter(tags), ""))


def _is_transport_error(error: Exception) -> bool:
    """Whether an error comes from the HTTP client that huggingface_hub uses, whichever that is in this version."""
    return any(kind.__name__ in ("TransportError", "RequestError") for kind in type(error).__mro__)
