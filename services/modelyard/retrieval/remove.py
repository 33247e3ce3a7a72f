"""`python -m modelyard.retrieval.remove --milvus-uri URI --alias ALIAS`: remove the index of a knowledge base."""

import argparse
import logging
import sys
from collections.abc import Sequence

from modelyard.domain.errors import ModelyardError
from modelyard.retrieval.settings import MilvusSettings
from modelyard.retrieval.store import VectorStore

logger = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Drop an alias and its collections; returns the exit code. Twice is the same as once."""
    parser = argparse.ArgumentParser(prog="modelyard.retrieval.remove", description="Remove the index of a knowledge base.")
    parser.add_argument("--milvus-uri", required=True)
    parser.add_argument("--alias", required=True)
    asked = parser.parse_args(argv)
    try:
        VectorStore(asked.milvus_uri, MilvusSettings().token.get_secret_value()).remove(asked.alias)
    except ModelyardError as error:
        logger.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1:]))
