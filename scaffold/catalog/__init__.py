"""What can be chosen: features with their models and prices, presets, and advice.

In reading order: `kinds` and `manifest` (the words), `feature` (one feature.yml), `catalog` (all of
them, and what a selection uses), `core_settings` and `names` (what every workspace has), `presets`,
`prices`, `estimate`, `break_even`, `alternatives` and `advice` (what it costs), `path_rules` (what
an update must know of single files), `copier_questions` and `jinja_sources` (the same for plain
copier).
"""
