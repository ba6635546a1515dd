"""How do a template and answers become files?

Read `pair` first: a `Job` is one render, `render_both` runs two at once. `render` is the one place
that calls copier, `patches` what is changed inside copier meanwhile, `mistakes` turns its errors
into advice. `confined` keeps a process that renders somebody else's template from anything else.
"""
