"""What all specs have in common: frozen, camelCase on the wire, unknown fields forbidden."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Spec(BaseModel):
    """A frozen document that refuses unknown fields; snake_case in Python, camelCase on the wire."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    def wire(self) -> dict[str, Any]:
        """The document as it is stored and sent: camelCase, JSON types, without unset optional fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def digest_of(document: Any) -> str:
    """The sha256 (64 hex digits) of a JSON document, independent of key order."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
