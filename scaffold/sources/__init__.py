"""Where does a template come from, and is it safe to render?

Read `releases` first: it opens this installation's template, a released version or a team's own.
`template` is a repository with its versions, `clones` copies one so that nothing in it runs, and
`safety` refuses what a render may not meet. `cut_release` is a maintainer's tool.
"""
