from peewee_conv import __version__

project = "peewee_conv"
author = "the peewee_conv authors"
copyright = "2026, the peewee_conv authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "requirements.txt"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autoclass_content = "both"

html_theme = "furo"
html_title = f"peewee_conv {release}"
