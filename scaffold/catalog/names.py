"""Rules for names: the project's, its package's, a sub-agent's, a chain's.

The rules are written twice: in Python for `scaffold`, and in Jinja for plain copier, which knows
no other language.
"""

import keyword
import re
import sys
import unicodedata
from functools import cache
from pathlib import Path

MOST_IDENTIFIER = 30
IDENTIFIER = f"[a-z][a-z0-9_]{{0,{MOST_IDENTIFIER - 1}}}"
MOST_NAME, MOST_TEXT = 60, 300

OWN = frozenset(
    {"src", "tests", "test", "conftest", "examples", "data", "docs", "evals"}
    | {"pip", "uv", "setuptools", "wheel", "hatchling"}
)
"""A workspace's own folders, and the tools that build and install it."""

DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)}
)
"""A file on Windows cannot have such a name, whatever its ending."""

GONE_SINCE_3_11 = (
    *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils"),
    *("imghdr", "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes"),
    *("smtpd", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),
)
NEW_IN_3_14 = ("annotationlib", "compression")  # docs.python.org/3.14/whatsnew
OTHER_PYTHONS = frozenset({*GONE_SINCE_3_11, *NEW_IN_3_14})
"""Standard modules of supported Pythons that the one running `scaffold` may not have."""

# A package of such a name would not be linted, not built or not committed.
PASSED_OVER = frozenset(
    # docs.astral.sh/ruff/settings/#exclude, and what basedpyright leaves out.
    {"build", "dist", "venv", "node_modules"}
    # github.com/github/gitignore, Python.gitignore: hatchling obeys it as well.
    | {"downloads", "eggs", "env", "htmlcov", "lib", "lib64", "parts", "sdist", "target", "var"}
    | {"wheels"}
)
"""Folders that linters, builds and usual .gitignore files pass over."""

ENVIRONMENT = r"(python|pip|pypy|pydoc|idle|2to3)[0-9-]*|(py|python)w|(de)?activate(-this)?|uvx?"
"""The programs of a virtual environment, and those that create one."""

SYSTEM_COMMANDS = Path(__file__).parents[1] / "data" / "system_commands.txt"
"""Programs that a command of the same name would hide from whatever runs in the environment.

The utilities of POSIX.1-2024 (pubs.opengroup.org, XCU 3) that are not built into shells, the
commands of Debian 12's required, important and standard packages, macOS's that other programs
start, and compilers, shells, editors, git's helpers, databases and package managers.
"""

TAKEN_NAMES = Path(__file__).parents[1] / "data" / "taken_names.txt"
"""What workspaces install, dependencies included; a test compares it with what is installed."""

_BAD_IN_TEXT = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

NAME_RULE = (
    "{% if not (project_name | regex_search('[A-Za-z0-9]'))"
    f" or project_name | length > {MOST_NAME}"
    " or project_name | regex_search('[\\x00-\\x1f\\x7f]') %}"
    f"up to {MOST_NAME} printable characters, a letter or digit among them{{% endif %}}"
)
PACKAGE_RULE = (
    f"{{% if not (package | regex_search('^{IDENTIFIER}$')) %}}"
    f"a lower-case Python identifier of up to {MOST_IDENTIFIER} characters{{% endif %}}"
)
AGENTS_RULE = f"""\
{{% set names = agents | map(attribute='name') | list %}}
{{% for name in names if not (name | regex_search('^{IDENTIFIER}$')) %}}
{{{{ name }}}}: a sub-agent's name is a lower-case Python identifier
{{% endfor %}}
{{% if names | unique | list | length != names | length %}}
each sub-agent needs a name of its own
{{% endif %}}"""
CHAINS_RULE = """\
{% for name, models in chains.items() if not models or models is string %}
{{ name }}: a chain is a list of at least one provider:model
{% endfor %}"""


def slug_of(name: str) -> str:
    """Return the distribution's and the command's name: `[a-z0-9]+` joined by `-`, or nothing."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))


def default_project(folder: str) -> str:
    """Return a usable project name for a folder: `test` → `test-agents`, `3d` → `app-3d`."""
    name = folder.strip()[:MOST_NAME].strip()
    if text_problem(name, MOST_NAME) or not slug_of(name):
        return "my-agents"
    if name[:1].isdigit():
        name = f"app-{name}"[:MOST_NAME]
    taken = slug_of(name).replace("-", "_")
    unfit = is_taken(taken) or project_problem(name)
    return f"{name[: MOST_NAME - 7]}-agents" if unfit else name


def default_package(project: str) -> str:
    """Return the package that a project's name suggests; `package_problem` always accepts it."""
    package = slug_of(project).replace("-", "_")[:MOST_IDENTIFIER].strip("_")
    if not package or package[0].isdigit() or package.startswith("test_"):
        package = f"app_{package}"[:MOST_IDENTIFIER].strip("_")
    return f"{package[: MOST_IDENTIFIER - len('_agents')]}_agents" if is_taken(package) else package


@cache
def list_installed() -> frozenset[str]:
    """Return import and distribution names of what a workspace may install, as package names."""
    return frozenset(TAKEN_NAMES.read_text("utf-8").split())


@cache
def _list_system_commands() -> frozenset[str]:
    return frozenset(SYSTEM_COMMANDS.read_text("utf-8").split())


def is_taken(package: str) -> bool:
    """Tell whether a package of that name would hide what the workspace needs, or be ignored."""
    known = OWN | DEVICES | PASSED_OVER | list_installed() | sys.stdlib_module_names | OTHER_PYTHONS
    # pytest imports a module `test_x` of the tests before a package of that name.
    return package in known or keyword.iskeyword(package) or package.startswith("test_")


def package_problem(package: str) -> str | None:
    """Return what is wrong with a new package's name, or None."""
    if package in PASSED_OVER:
        return "is a folder that linters, builds or .gitignore files pass over"
    if is_taken(package):
        return "would hide a standard module, a keyword, a device or a dependency of that name"
    return identifier_problem(package)


def project_problem(name: str) -> str | None:
    """Return what is wrong with a new project's name, or None."""
    slug = slug_of(name)
    if slug.replace("-", "_") in OWN | list_installed():
        return "is the name of something the workspace installs"
    if slug in _list_system_commands() or re.fullmatch(ENVIRONMENT, slug):
        return "would hide the command of that name in the workspace's environment"
    if slug in DEVICES:
        return "is a device on Windows, so a program cannot be called that"
    return title_problem(name)


def title_problem(name: str) -> str | None:
    """Return why a command cannot be named after a project's name, or None."""
    if problem := text_problem(name, MOST_NAME):
        return problem
    return None if slug_of(name) else "has no ASCII letter or digit to name the command after"


def identifier_problem(name: str) -> str | None:
    """Return why a name is not an identifier, or None."""
    if re.fullmatch(IDENTIFIER, name):
        return None
    return f"is not a lower-case Python identifier of up to {MOST_IDENTIFIER} characters"


def agent_problem(name: str) -> str | None:
    """Return what is wrong with a sub-agent's or chain's name, or None.

    Soft keywords are fine: they differ between versions of Python, and a module may have the name
    of one.
    """
    if keyword.iskeyword(name):
        return "is a Python keyword"
    # ruff sorts imports naturally, where a2 and a02 are equal.
    if re.search(r"(?<![0-9])0[0-9]", name):
        return "has a number with a leading zero, which no two tools sort alike"
    if name in DEVICES:
        return "is a device on Windows, so a file cannot be called that"
    return identifier_problem(name)


def text_problem(text: str, most: int = MOST_TEXT) -> str | None:
    """Return what is wrong with one line of free text, or None.

    Jinja, quotes and emoji are fine.
    """
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
