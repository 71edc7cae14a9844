"""How the documentation is built: `make docs`, offline, and a warning is an error."""

project = "Hải Đăng"
author = "The Hải Đăng founders"
copyright = "2026, The Hải Đăng founders"  # noqa: A001  (the name Sphinx asks for)
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["pictures"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
# Decisions cite the tables and clauses of norms; a heading may start below the first level.
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = "Hải Đăng"
html_copy_source = False
html_show_sphinx = False
