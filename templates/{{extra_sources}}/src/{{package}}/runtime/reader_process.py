"""Reads documents and pages in a child process, under limits of time and memory.

A file from outside can make any parser loop, crash or fill the memory. The child finds no API key
in its environment, and its answer is text. Windows and macOS cannot limit a process's memory; the
limit of time remains there.
"""

import asyncio
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from .document import DocumentError
from .errors import FleetError

MOST_TEXT = 64_000_000
_KEPT = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"),
)


class Unreadable(FleetError):
    """A document broke a limit or crashed its reader; the message says which."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The time and memory that reading one document may take."""

    seconds: float = 60
    megabytes: int = 1024


class Child:
    """Reads one document after another: `with Child() as child`. It starts when first needed."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Set the limits of each document."""
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return the child; its process starts later."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process:
            process.kill()
            with suppress(BrokenPipeError), process:
                pass  # leaving the block waits for the process and closes its pipes

    def document(self, path: Path) -> dict[str, Any]:
        """Return the `text` and `notes` of a file, or why it is `refused`.

        Raises:
            Unreadable: It broke a limit or its reader.
        """
        return self._ask({"path": str(path.absolute())}, b"")

    def page(self, data: bytes, charset: str | None = None) -> dict[str, Any]:
        """Return the title and text of HTML.

        Raises:
            Unreadable: It broke a limit or its reader.
        """
        return self._ask({"charset": charset}, data)

    def _ask(self, job: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        if not self._process:
            self._process = subprocess.Popen(
                _build_command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_build_environment(),
            )
        process, started = self._process, time.monotonic()
        assert process.stdin
        assert process.stdout
        timer = threading.Timer(self.limits.seconds, process.kill)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(_encode(job, data, self.limits))
                process.stdin.flush()
            line = process.stdout.readline(MOST_TEXT)
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            late = time.monotonic() - started >= self.limits.seconds
            with suppress(subprocess.TimeoutExpired):
                process.wait(0 if line else 5)  # for its exit status
            self.__exit__()
            if late:
                raise Unreadable(f"took over {self.limits.seconds:g} s")
            raise _describe_failure(line, process.returncode)
        return _decode(line)


async def read_page(data: bytes, charset: str | None, limits: Limits) -> dict[str, Any]:
    """Return the title and text of HTML; the process ends when the caller is cancelled.

    Raises:
        Unreadable: It broke a limit or its reader.
    """
    process = await asyncio.create_subprocess_exec(
        *_build_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_build_environment(),
    )
    try:
        async with asyncio.timeout(limits.seconds):
            line, _ = await process.communicate(_encode({"charset": charset}, data, limits))
    except TimeoutError:
        raise Unreadable(f"took over {limits.seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not line.endswith(b"\n"):
        raise _describe_failure(line, process.returncode)
    return _decode(line)


def _build_command() -> list[str]:
    return [sys.executable, "-P", "-m", __name__]


def _build_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _encode(job: Mapping[str, Any], data: bytes, limits: Limits) -> bytes:
    head = {**job, "size": len(data), "seconds": limits.seconds, "megabytes": limits.megabytes}
    return json.dumps(head).encode() + b"\n" + data


def _decode(line: bytes) -> dict[str, Any]:
    reply = json.loads(line.decode("utf-8", "surrogatepass"))
    if "problem" in reply:
        raise Unreadable(reply["problem"])
    return reply


def _describe_failure(line: bytes, status: int | None) -> Unreadable:
    if line:
        return Unreadable(f"holds more than {MOST_TEXT / 1e6:.0f} MB of text")
    return Unreadable(f"crashed its reader (status {status}), perhaps for lack of memory")


def main() -> None:
    """Answer the jobs of standard input on standard output."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for a result
    answer_jobs(sys.stdin.buffer, replies)


def answer_jobs(jobs: BinaryIO, replies: BinaryIO) -> None:
    """Read each job, and write its result as one line of JSON."""
    for line in jobs:
        job = json.loads(line)
        data = jobs.read(job["size"])
        limit_process(job["seconds"], job["megabytes"])
        replies.write(read_job(job, data) + b"\n")
        replies.flush()


def read_job(job: Mapping[str, Any], data: bytes) -> bytes:
    """Return the JSON of what a job asks for, or of why it could not be read."""
    try:
        text = json.dumps(_read(job, data), ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass")
    except (MemoryError, SystemError):  # parsers in C raise the second one
        most = job["megabytes"]
        return json.dumps({"problem": f"needs more than {most:,} MB of memory"}).encode()


def limit_process(seconds: float, megabytes: int) -> None:
    """Limit this process, in case the parent that would kill it is gone."""
    try:
        import resource
    except ImportError:  # Windows
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = math.ceil(usage.ru_utime + usage.ru_stime + seconds) + 1
    limits = {
        resource.RLIMIT_AS: megabytes << 20,
        resource.RLIMIT_CPU: cpu,
        resource.RLIMIT_CORE: 0,
    }
    for what, most in limits.items():
        hard = resource.getrlimit(what)[1]
        with suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(what, (most if hard < 0 else min(most, hard), hard))


def _read(job: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    from . import conversion
    from .decoding import decode
    from .readable import html_to_markdown

    try:
        if "path" in job:
            document = conversion.convert(Path(job["path"]))
            return {"text": document.text, "notes": document.notes}
        title, text = html_to_markdown(decode(data, job["charset"]))
        return {"title": title, "text": text}
    except (MemoryError, SystemError):
        raise
    except RecursionError:
        return {"problem": "is nested too deeply"}
    except DocumentError as error:
        return {"refused": str(error)}
    except Exception as error:  # a broken file makes its parser raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return {"problem": f"is a broken file ({reason})"}


if __name__ == "__main__":
    main()
