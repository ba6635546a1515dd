"""What happens to one workspace on disk?

Read `create` (with `target`, the folder that is filled, and `create_report`) for a new one, then
`update` (with `update_answers`, `update_notes` and `update_report`), which `features` uses to add
and remove, and `check`, `diff` and `verify`. `files` reads what a workspace records and what its
team has set. Nothing here prints: a request comes in, a report goes out.
"""
