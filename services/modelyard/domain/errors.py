"""Errors that name the thing, the value and the remedy. Every error a person can meet is one of these."""

from typing import ClassVar


class ModelyardError(Exception):
    """A problem with its remedy, printed as one line: `problem; remedy`."""

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later without a change by the user."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["ModelyardError"], tuple[str, str]]:
        # Exceptions cross processes (Ray); the default would call __init__ with the one joined line.
        return type(self), (self.problem, self.remedy)


class InvalidInputError(ModelyardError):
    """Something that the user wrote cannot be used as it stands."""


class NotFoundError(ModelyardError):
    """Something that was named does not exist."""


class ConflictError(ModelyardError):
    """Something else holds what is wanted: a port, a lock, a name, a newer version."""


class IntegrityError(ModelyardError):
    """Stored bytes are not those that were recorded."""


class CapacityError(ModelyardError):
    """A disk or a machine is too small for what is asked."""


class PreemptedError(ModelyardError):
    """The machine was taken away before the end; what was done is kept. Nothing has failed."""

    retryable = True


class UnavailableError(ModelyardError):
    """A service that is needed does not answer now."""

    retryable = True
