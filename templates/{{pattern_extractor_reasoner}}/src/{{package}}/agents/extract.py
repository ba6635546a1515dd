"""Reads one part of a document and lists what it says, with quotes."""

from ..extraction import Extraction
from ..runtime.subagent import SubAgent

EXTRACT = SubAgent("extract", Extraction)
