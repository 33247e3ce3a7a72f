"""Errors in OpenAI's shape: `{"error": {message, type, param, code}}`. Knows no routes."""

from typing import Any

from modelyard.domain.errors import InvalidInputError, ModelyardError, NotFoundError, UnavailableError

RETRY_AFTER_S = 3
_TYPE_NAMES = ("str", "int", "float", "bool")


class ApiError(Exception):
    """A refusal that a client sees."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        """status: HTTP; param: the request field at fault; code: for programs."""
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def headers(self) -> dict[str, str]:
        """`Retry-After` where the same request may succeed later."""
        return {"Retry-After": str(RETRY_AFTER_S)} if self.status in (429, 503) else {}

    def body(self) -> dict[str, Any]:
        """The response body."""
        kind = "invalid_request_error" if self.status < 500 else "service_unavailable" if self.status == 503 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def to_api_error(error: ModelyardError) -> ApiError:
    """The refusal that says what a domain error says."""
    statuses = {InvalidInputError: 400, NotFoundError: 404, UnavailableError: 503}
    return ApiError(next((status for kind, status in statuses.items() if isinstance(error, kind)), 500), str(error))


def from_validation(errors: list[dict[str, Any]]) -> ApiError:
    """The refusal for a request that does not fit its schema, in one sentence.

    errors: pydantic's `ValidationError.errors()`. Of several, the deepest says most: where a field may be a string
    or a list, each of both complains.
    """
    deepest = max(errors, key=lambda error: len(error["loc"]))
    if deepest["type"] == "json_invalid":
        return ApiError(400, f"the request body is not JSON: {deepest['msg']}")
    # In pydantic's paths, members of unions appear as type names; the client knows only its own fields.
    path = [str(part) for part in deepest["loc"] if isinstance(part, int) or (part.isidentifier() and part not in _TYPE_NAMES)]
    param = ".".join(path) or None
    message = deepest["msg"].removeprefix("Value error, ")
    return ApiError(400, f"{param or 'the request body'}: {message}", param=param, code="invalid_value")
