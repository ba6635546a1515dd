"""How do a template and answers become files?

Read `render` first, the one place that calls copier: a `Job` is one render, `render_both` runs two
at once. `patches` is what is changed inside copier meanwhile, `mistakes` turns its errors into
advice. `confined` keeps a process that renders somebody else's template from anything else.
"""
