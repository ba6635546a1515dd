"""Reads documents and pages in a child process, under limits of time and memory.

What somebody else wrote can make any parser loop, crash or fill the memory. The child finds no
keys in its environment, and its answer is text. Where the system cannot limit a process's memory
(Windows, macOS) the limit of time remains.
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
from typing import Any, Self

from .errors import FleetError

MOST_TEXT = 64_000_000
_KEPT = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME"),
)


class Unreadable(FleetError):
    """What was read broke a limit or its reader; says which."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may take."""

    seconds: float = 60
    megabytes: int = 1024


class Child:
    """Reads one thing after another: `with Child() as child`. The process starts when needed."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process:
            process.kill()
            with suppress(BrokenPipeError), process:
                pass  # waits for it and closes its pipes

    def document(self, path: Path) -> dict[str, Any]:
        """The `text` and `notes` of a file, or why it is `refused`. Raises Unreadable."""
        return self._ask({"path": str(path.absolute())}, b"")

    def page(self, data: bytes, charset: str | None = None) -> dict[str, Any]:
        """The title and text of HTML. Raises Unreadable."""
        return self._ask({"charset": charset}, data)

    def _ask(self, job: Mapping[str, Any], data: bytes) -> dict[str, Any]:
        if not self._process:
            self._process = subprocess.Popen(
                _command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
            )
        process, started = self._process, time.monotonic()
        assert process.stdin
        assert process.stdout
        timer = threading.Timer(self.limits.seconds, process.kill)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(_encoded(job, data, self.limits))
                process.stdin.flush()
            line = process.stdout.readline(MOST_TEXT)
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            late = time.monotonic() - started >= self.limits.seconds
            with suppress(subprocess.TimeoutExpired):
                process.wait(0 if line else 5)  # its status says what became of it
            self.__exit__()
            if late:
                raise Unreadable(f"took over {self.limits.seconds:g} s")
            raise _broken(line, process.returncode)
        return _decoded(line)


async def read_page(data: bytes, charset: str | None, limits: Limits) -> dict[str, Any]:
    """The title and text of HTML; its process ends with the caller's wait. Raises Unreadable."""
    process = await asyncio.create_subprocess_exec(
        *_command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    try:
        async with asyncio.timeout(limits.seconds):
            line, _ = await process.communicate(_encoded({"charset": charset}, data, limits))
    except TimeoutError:
        raise Unreadable(f"took over {limits.seconds:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not line.endswith(b"\n"):
        raise _broken(line, process.returncode)
    return _decoded(line)


def _command() -> list[str]:
    return [sys.executable, "-P", "-m", __name__]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _encoded(job: Mapping[str, Any], data: bytes, limits: Limits) -> bytes:
    head = {**job, "size": len(data), "seconds": limits.seconds, "megabytes": limits.megabytes}
    return json.dumps(head).encode() + b"\n" + data


def _decoded(line: bytes) -> dict[str, Any]:
    reply = json.loads(line.decode("utf-8", "surrogatepass"))
    if "problem" in reply:
        raise Unreadable(reply["problem"])
    return reply


def _broken(line: bytes, status: int | None) -> Unreadable:
    if line:
        return Unreadable(f"holds more than {MOST_TEXT / 1e6:.0f} MB of text")
    return Unreadable(f"made its reader stop (status {status}), perhaps for want of memory")


def main() -> None:
    """Read what standard input asks for until it ends; one JSON object a line goes out."""
    jobs, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not answer
    for line in jobs:
        job = json.loads(line)
        data = jobs.read(job["size"])
        _limit(job["seconds"], job["megabytes"])
        replies.write(_answer(job, data) + b"\n")
        replies.flush()


def _answer(job: Mapping[str, Any], data: bytes) -> bytes:
    try:
        text = json.dumps(_reply(job, data), ensure_ascii=False)
        return text.encode("utf-8", "surrogatepass")
    except (MemoryError, SystemError):  # the second from parsers in C that forget to say
        most = job["megabytes"]
        return json.dumps({"problem": f"needs more than {most:,} MB of memory"}).encode()


def _limit(seconds: float, megabytes: int) -> None:
    """Hold this process to its limits, should whoever started it be gone."""
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
        with suppress(ValueError, OSError):  # macOS knows RLIMIT_AS and refuses it
            resource.setrlimit(what, (most if hard < 0 else min(most, hard), hard))


def _reply(job: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    from . import documents
    from .readable import decode, of_html

    try:
        if "path" in job:
            document = documents.convert(Path(job["path"]))
            return {"text": document.text, "notes": document.notes}
        title, text = of_html(decode(data, job["charset"]))
        return {"title": title, "text": text}
    except (MemoryError, SystemError):
        raise
    except RecursionError:
        return {"problem": "is nested too deeply"}
    except documents.DocumentError as error:
        return {"refused": str(error)}
    except Exception as error:  # a broken file raises whatever its parser stumbles over
        told = " ".join(str(error).split())[:200] or type(error).__name__
        return {"problem": f"is not a sound file ({told})"}


if __name__ == "__main__":
    main()
