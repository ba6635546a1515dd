"""What does each command take and print?

One module per command: `HELP`, `configure(parser)`, a frozen `Options` class with what the command
line says, and `run(options)`, which calls the program below and returns the exit status. Read
`new` and `update` first. `arguments` has what several commands take, `output` prints their reports.
"""
