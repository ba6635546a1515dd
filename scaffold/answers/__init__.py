"""What a team chose for its workspace, from the first typed value to a complete `WorkspaceSpec`.

In reading order: `spec` (the types), `inputs` (where answers come from: a preset, a file, `--set`),
`parse` (their shape), `complete` (defaults and checks), `validate` (the checks), `warnings`,
`edits` (what `add` and `remove` change), `migrate` (the answers as another version of the template
understands them).
"""
