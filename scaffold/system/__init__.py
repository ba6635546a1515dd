"""What does the program need of the machine it runs on?

`git` starts git, `yaml` reads and writes YAML, `paths` and `versions` compare names, `signals` has
temporary folders and decides what Ctrl-C may interrupt, and `progress` shows what is being done.
"""
