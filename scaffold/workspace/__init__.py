"""What happens to one workspace on disk?

Read `create` (with `target`, the folder that is filled, `repository`, its first commit, and
`create_report`) for a new one, then `update` (with `update_plan`, `update_notes` and
`update_report`), which `features` uses to add and remove, and `check`, `diff` and `verify`.
`answers_file` and `fleet_file` read what a workspace records and what its team has set;
`file_changes` describes what a merge changes. Nothing here prints: a request comes in, a report
goes out.
"""
