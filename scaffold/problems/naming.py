"""What is wrong with the names and texts of a workspace."""

import re
from collections.abc import Mapping
from typing import Any

from scaffold import names
from scaffold.catalogue import Catalogue
from scaffold.errors import Problem
from scaffold.problems.wording import shown


def of_names(
    catalogue: Catalogue, filled: Mapping[str, Any], recorded: Mapping[str, Any]
) -> list[Problem]:
    """The problems of project name, package and description.

    A recorded name stays: what is taken grows with every dependency that comes to a template.
    """
    new = {key for key, value in filled.items() if value != recorded.get(key)}
    named = names.project_problem if "project_name" in new else names.title_problem
    packaged = names.package_problem if "package" in new else names.identifier_problem
    checks = {
        "project_name": (named, "take another name"),
        "package": (packaged, "take another, such as my_agents"),
        "description": (names.text_problem, "write one line of text"),
    }
    found = [
        Problem(key, f"'{shown(filled[key])}' {problem}", way_out)
        for key, (check, way_out) in checks.items()
        if key in filled and (problem := check(filled[key]))
    ]
    if "package" in new and not found and filled["package"] in _needed(catalogue):
        told = f"'{filled['package']}' would hide a dependency of that name"
        found.append(Problem("package", told, "take another, such as my_agents"))
    return found


def _needed(catalogue: Catalogue) -> set[str]:
    """What the manifests name, as packages are called: `pydantic-ai-slim[x]>=2` is pydantic_ai_slim."""
    wanted = [
        requirement
        for feature in catalogue.features
        for requirement in (*feature.dependencies, *feature.dev_dependencies)
    ]
    bare = [re.split(r"[\[<>=!~; ]", requirement)[0] for requirement in wanted]
    return {name.lower().replace("-", "_").replace(".", "_") for name in bare}
