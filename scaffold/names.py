"""What names may be: the project's, its package's, a sub-agent's, a chain's.

The same rules stand here twice: as Python for `scaffold`, as Jinja for plain copier.
"""

import keyword
import re
import sys
import unicodedata

IDENTIFIER = r"[a-z][a-z0-9_]{0,29}"
MOST_NAME, MOST_TEXT = 60, 300

RESERVED = frozenset(
    [
        "anthropic",
        "boto3",
        "botocore",
        "genai_prices",
        "google",
        "google_genai",
        "groq",
        "hatchling",
        "httpx",
        "mistralai",
        "openai",
        "pydantic",
        "pydantic_ai",
        "pydantic_ai_slim",
        "pytest",
        "ruff",
        "basedpyright",
        "xai_sdk",
        "src",
        "tests",
        "test",
        "examples",
        "data",
        "docs",
        "evals",
        "pip",
        "setuptools",
        "wheel",
        "uv",
    ]
)
"""Import and distribution names of what a workspace installs, and its own folders."""

_BAD_IN_TEXT = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

NAME_RULE = (
    "{% if not (project_name | regex_search('[A-Za-z0-9]')) or project_name | length > 60"
    " or project_name | regex_search('[\\x00-\\x1f\\x7f]') %}"
    "up to 60 printable characters, a letter or digit among them{% endif %}"
)
PACKAGE_RULE = (
    "{% if not (package | regex_search('^[a-z][a-z0-9_]{0,29}$')) %}"
    "a lower-case Python identifier of up to 30 characters{% endif %}"
)
AGENTS_RULE = """\
{% set names = agents | map(attribute='name') | list %}
{% for name in names if not (name | regex_search('^[a-z][a-z0-9_]{0,29}$')) %}
{{ name }}: a sub-agent's name is a lower-case Python identifier
{% endfor %}
{% if names | unique | list | length != names | length %}
each sub-agent needs a name of its own
{% endif %}"""
CHAINS_RULE = """\
{% for name, models in chains.items() if not models or models is string %}
{{ name }}: a chain is a list of at least one provider:model
{% endfor %}"""


def slug_of(name: str) -> str:
    """The distribution's and the command's name: `[a-z0-9]+` joined by `-`; may be empty."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))


def default_project(folder: str) -> str:
    """A usable project name for a folder's name: `test` → `test-agents`, `3d` → `app-3d`."""
    name = folder.strip()[:MOST_NAME].strip()
    if text_problem(name, MOST_NAME) or not slug_of(name):
        return "my-agents"
    if name[:1].isdigit():
        name = f"app-{name}"[:MOST_NAME]
    taken = slug_of(name).replace("-", "_")
    return f"{name}-agents"[:MOST_NAME] if is_taken(taken) else name


def default_package(project: str) -> str:
    """The package a project's name suggests; always one that `package_problem` accepts."""
    package = slug_of(project).replace("-", "_")[:30].strip("_")
    if not package or package[0].isdigit():
        package = f"app_{package}"[:30].strip("_")
    return f"{package[:23]}_agents" if is_taken(package) else package


def is_taken(package: str) -> bool:
    """Whether a package of that name would hide a module that the workspace needs."""
    return package in RESERVED or package in sys.stdlib_module_names or keyword.iskeyword(package)


def package_problem(package: str) -> str | None:
    """What is wrong with a package name, or None."""
    if not re.fullmatch(IDENTIFIER, package):
        return "is no lower-case Python identifier of up to 30 characters"
    if is_taken(package):
        return "would hide a standard module, a keyword or a dependency of that name"
    return None


def project_problem(name: str) -> str | None:
    """What is wrong with a project's name, or None."""
    if problem := text_problem(name, MOST_NAME):
        return problem
    if not slug_of(name):
        return "has no ASCII letter or digit to make a command's name of"
    if slug_of(name).replace("-", "_") in RESERVED:
        return "is the name of something the workspace installs"
    return None


def agent_problem(name: str) -> str | None:
    """What is wrong with a sub-agent's or chain's name, or None."""
    if not re.fullmatch(IDENTIFIER, name):
        return "is no lower-case Python identifier of up to 30 characters"
    return "is a Python keyword" if keyword.iskeyword(name) or keyword.issoftkeyword(name) else None


def text_problem(text: str, most: int = MOST_TEXT) -> str | None:
    """What is wrong with one line of free text, or None: Jinja, quotes and emoji are fine."""
    if not text.strip():
        return "is empty"
    if len(text) > most:
        return f"has {len(text)} characters, {most} are allowed"
    if bad := next((c for c in text if _is_bad(c)), None):
        return f"holds the unprintable character U+{ord(bad):04X}"
    return None


def _is_bad(character: str) -> bool:
    # Joiners and variation selectors are parts of emoji; direction overrides are not.
    return unicodedata.category(character) in _BAD_IN_TEXT and character not in "\u200d\u200c"
