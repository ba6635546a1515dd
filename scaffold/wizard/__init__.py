"""The wizard: one module per screen; Enter takes the default, Ctrl-B goes back.

In reading order: `screens` (which screens there are, and their order), `state` (the answers so
far), `prompts` (a text, one of a list, several of a list), then the screens `naming`, `patterns`,
`providers`, `agents`, `chains`, `settings` and `summary`.
"""
