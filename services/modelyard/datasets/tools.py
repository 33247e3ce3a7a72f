"""The tools of a row and the calls of them, in OpenAI's shape or in the bare one inside it. Reads no file."""

import json
from typing import Any

from modelyard.datasets.conversation import ToolCall
from modelyard.datasets.describing import describe
from modelyard.domain.errors import InvalidInputError

TOOL = '{"type": "function", "function": {"name": "…", "parameters": {…}}}'
CALL = '{"type": "function", "function": {"name": "…", "arguments": "{…}"}}'


def read_tools(where: str, value: Any) -> str:
    """The tools of a row as a JSON list of function schemas; empty where there are none.

    value: a list, or JSON text of one as files without nested columns hold it. Raises InvalidInputError for another shape.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            raise InvalidInputError(f"{where}: tools is {describe(value)}", f"write a list of {TOOL}") from None
    if not value:
        return ""
    if not isinstance(value, list):
        raise InvalidInputError(f"{where}: tools is {describe(value)}", f"write a list of {TOOL}")
    return json.dumps([_tool(f"{where}: tools[{index}]", tool) for index, tool in enumerate(value)], ensure_ascii=False)


def read_calls(where: str, value: Any) -> tuple[ToolCall, ...]:
    """The calls of one message. Raises InvalidInputError for another shape."""
    if not value:
        return ()
    if not isinstance(value, list):
        raise InvalidInputError(f"{where}: tool_calls is {describe(value)}", f"write a list of {CALL}")
    return tuple(_read_call(f"{where}: tool_calls[{index}]", call) for index, call in enumerate(value))


def _tool(where: str, tool: Any) -> dict[str, Any]:
    function = _function(where, tool, TOOL)
    parameters = function.get("parameters")
    if not isinstance(function.get("name"), str) or not isinstance(parameters or {}, dict):
        raise InvalidInputError(f"{where} is of no known shape: {describe(function)}", f"write {TOOL}")
    return {"type": "function", "function": function}


def _read_call(where: str, call: Any) -> ToolCall:
    function = _function(where, call, CALL)
    arguments = function.get("arguments")
    try:
        given = json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        given = None
    if not isinstance(function.get("name"), str) or not isinstance(given, dict):
        problem = describe(function) if arguments is None else f"its arguments are {describe(arguments)}"
        raise InvalidInputError(f"{where} is of no known shape: {problem}", f"write {CALL}, arguments as a JSON object")
    return ToolCall(function["name"], json.dumps(given, ensure_ascii=False), str(call.get("id") or ""))


def _function(where: str, value: Any, shape: str) -> dict[str, Any]:
    """What `function` holds, or the object itself where it is written without that frame."""
    inner = value.get("function", value) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or value.get("type", "function") not in ("function", None):
        raise InvalidInputError(f"{where} is of no known shape: {describe(value)}", f"write {shape}")
    return inner
