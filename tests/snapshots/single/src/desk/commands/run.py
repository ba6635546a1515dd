"""`run`: run one pipeline by name, on a text or on a file."""

import argparse
import asyncio
from pathlib import Path

from ..runtime.errors import FleetError
from .ask import answer, print_answer

HELP = "run one pipeline on a text, or on a file's when INPUT names one"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the pipeline, its input and its options."""
    parser.add_argument("pipeline", help="answer, or one of the workspace's pipelines")
    parser.add_argument("input", help="a text, or the path of a file")
    parser.add_argument(
        "--set",
        type=_pair,
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what else the pipeline takes, such as question=...",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Run the pipeline and print its answer."""
    from ..runtime.request import Request

    path = Path(options.input)
    text = _read(path) if _is_file(path) else options.input
    request = Request(text, options=dict(options.set))
    print_answer(asyncio.run(answer(request, options.pipeline)), options)
    return 0


def _read(path: Path) -> str:
    from .. import wiring

    try:
        return wiring.READER(path) if wiring.READER else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{path} cannot be read as UTF-8 text ({error})") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a file name
        return False


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return key, value
