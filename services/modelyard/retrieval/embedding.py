"""Turn texts into vectors with a sentence-transformers model in a local folder. Knows no store and no index."""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from modelyard.domain.errors import InvalidInputError

BATCH_SIZE = 32
Vectors = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)


class EmbeddingModel:
    """An embedding model; safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """`folder`: a verified artifact. Runs no code from it and looks nowhere else."""
        try:
            self._model = SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise InvalidInputError(
                f"{folder} is not an embedding model: {error}", "set embedding.source to a sentence-transformers model"
            ) from error
        # A Rust tokenizer serves one thread at a time.
        self._lock = threading.Lock()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def max_tokens(self) -> int:
        """The longest text that it reads whole, in its tokens, special ones not counted; the rest of a longer one is ignored."""
        return int(self._model.max_seq_length) - int(self._model.tokenizer.num_special_tokens_to_add())

    def token_starts(self, text: str) -> list[int]:
        """The character offset at which each token of a text starts, special ones not counted."""
        with self._lock:
            encoded = self._model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False)
        return [start for start, _ in encoded["offset_mapping"]]

    def embed(self, texts: Sequence[str], advance: Callable[[int, int], None] = lambda texts, characters: None) -> Vectors:
        """Vectors of length 1: [texts, dimension], float32, in the order of the texts.

        Texts of like length share a batch, so that little is computed on padding; the longest go first.
        advance: called after each batch with the number of texts and of characters in it.
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
        for start in range(0, len(order), BATCH_SIZE):
            places = order[start : start + BATCH_SIZE]
            batch = [texts[place] for place in places]
            with self._lock:
                vectors[places] = self._model.encode(
                    batch, batch_size=BATCH_SIZE, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
                )
            advance(len(batch), sum(map(len, batch)))
        return vectors
