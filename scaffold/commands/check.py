"""`scaffold check [DIR]`: whether a workspace is behind its template; writes nothing."""

import argparse
import json

from scaffold.commands import options as shared

HELP = "Say whether a workspace is behind its template (exit status 3); needs no network."
BEHIND = 3


def configure(parser: argparse.ArgumentParser) -> None:
    shared.workspace(parser)
    shared.template(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 3 when the workspace is behind."""
    from scaffold.sources import releases
    from scaffold.workspace import files as recorded

    workspace = recorded.read(options.dir)
    with releases.open_template(options.template or workspace.src_path) as template:
        newer = template.newer(workspace.commit)
    facts: dict[str, object] = {
        "workspace": str(options.dir),
        "template": workspace.src_path,
        "version": workspace.commit,
        "newest": newer[-1] if newer else workspace.commit,
        "behind": bool(newer),
        "newer": newer,
        "bundle": str(releases.BUNDLE) if workspace.src_path == releases.URL else None,
    }
    print(json.dumps(facts, ensure_ascii=False) if options.json else _told(facts))
    return BEHIND if newer else 0


def _told(facts: dict[str, object]) -> str:
    if facts["behind"]:
        return f"{facts['version']} is behind: {facts['newest']} is there; run `scaffold update`."
    return f"{facts['version']} is up to date."
