"""`scaffold diff [DIR]`: what the team changed against its template, per file; writes nothing."""

import argparse
import json
import sys

from scaffold.commands import options as shared

HELP = "Show what the team changed against its template, file by file."


def configure(parser: argparse.ArgumentParser) -> None:
    shared.workspace(parser)
    shared.template(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 0, whether there is a difference or not."""
    from scaffold import merge
    from scaffold.rendering.pair import Job
    from scaffold.sources import releases
    from scaffold.system.progress import show_progress
    from scaffold.system.signals import work_folder
    from scaffold.workspace import files as recorded
    from scaffold.workspace import update_report as file_changes

    workspace = recorded.read(options.dir)
    place = merge.locate(workspace.folder)
    with (
        releases.open_template(options.template or workspace.src_path) as template,
        work_folder() as work,
    ):
        with show_progress(f"Rendering {workspace.commit}"):
            Job(template.at(workspace.commit), workspace.answers, work / "before").run()
        changes, text = merge.compare(place, work / "before")
    if options.json:
        rows = file_changes.rows(changes)
        print(json.dumps({"version": workspace.commit, "changes": rows, "diff": text}))
        return 0
    print(f"{workspace.commit}: {file_changes.counted(changes)}.", file=sys.stderr)
    print("\n".join([*file_changes.lines(changes), "", text] if changes else []))
    return 0
