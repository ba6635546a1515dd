"""The wire formats: one module per provider, found by the first segment of a request's path."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from tests.loopback.formats import anthropic, bedrock, google, mistral, openai
from tests.loopback.reply import Reply


class Format(Protocol):
    """How one provider's API reads and writes."""

    STREAM_TYPE: Final[str]
    """The content type of a stream."""

    def read_request(self, path: str, body: dict[str, Any]) -> tuple[str, bool]:
        """Return the model that a request names, and whether it wants a stream."""
        ...

    def completion(self, model: str, reply: Reply, body: dict[str, Any]) -> dict[str, Any]: ...

    def tokens(self, model: str, reply: Reply, body: dict[str, Any]) -> Iterator[bytes]:
        """Yield the stream up to and with its last token, one piece each."""
        ...

    def ending(self, model: str, reply: Reply, body: dict[str, Any]) -> bytes:
        """Return what ends a complete stream, with its usage."""
        ...

    def error(self, status: int) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the body and headers of a plain failure."""
        ...

    def stream_error(self) -> bytes: ...


FORMATS: Mapping[str, Format] = {
    "openai": openai,
    **dict.fromkeys(("azure", "groq", "openrouter", "deepseek", "ollama"), openai),
    "openai_compatible": openai,
    "anthropic": anthropic,
    "google": google,
    "mistral": mistral,
    "bedrock": bedrock,
}
