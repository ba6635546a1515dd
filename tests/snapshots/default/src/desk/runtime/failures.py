"""Classify an error: which kind of failure it is.

The kinds, and what a chain does after each, are in `failure_kinds.py`. A kind comes from codes and
types; words decide only where these say nothing (`replies.py`).
"""

import re

from pydantic import ValidationError
from pydantic_ai import exceptions
from pydantic_ai.exceptions import ModelAPIError, UnexpectedModelBehavior, UserError

from .errors import FleetError, find_exhaustion
from .failure_kinds import Failure
from .replies import classify_reply
from .stalls import Stalled

CHECK_ERRORS = (ModelAPIError, UnexpectedModelBehavior, TimeoutError, ValidationError)
"""What the examination of an answer raises by design; a file that a check misses is a mistake."""
EXPECTED = (*CHECK_ERRORS, OSError)
"""What an attempt raises by design. A client may raise more when a provider sends nonsense."""

# The kind of an error without a reply, by its class: the first match, since some are subclasses.
_BY_CLASS = {
    Failure.NO_CAPABILITY: (UserError, NotImplementedError),  # the library's: nothing was sent
    Failure.STALLED: Stalled,
    Failure.TIMEOUT: (exceptions.ModelTimeoutError, exceptions.ModelRequestTimeout, TimeoutError),
    Failure.NETWORK: (ModelAPIError, OSError),
}
# A cloud's own login that failed before anything was sent: boto3, azure-identity, google-auth.
_LOGIN = re.compile("Credential|TokenRetrieval|ClientAuthentication|RefreshError|SSO")


def classify_error(error: BaseException) -> Failure | None:
    """Return the kind of a model's failure; None for a mistake of ours or a cancellation."""
    if not isinstance(error, Exception) or isinstance(error, FleetError):
        return None
    if find_exhaustion(error):
        return Failure.EXHAUSTED
    if any(_LOGIN.search(type(one).__name__) for one in (error, error.__cause__)):
        return Failure.AUTHENTICATION
    if not isinstance(error, exceptions.ModelConnectionError) and (name := classify_reply(error)):
        return Failure(name)
    kinds = (kind for kind, classes in _BY_CLASS.items() if isinstance(error, classes))
    return next(kinds, Failure.MALFORMED)
