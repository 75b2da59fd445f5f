import ast
import inspect
import sys

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
autodoc_typehints = "signature"
python_maximum_signature_line_length = 90
autoclass_content = "both"

html_theme = "furo"
html_title = f"peewee_conv {release}"

# Nobody but the package constructs what these modules hold.
_NOT_CONSTRUCTED = ("records", "account_records", "feature_records", "models", "feature_models", "services", "database")


def hide_signature(app, what, name, obj, options, signature, return_annotation):
    part = name.removeprefix("peewee_conv.").split(".")[0]
    return ("", None) if what == "class" and part in _NOT_CONSTRUCTED else None


def load_types():
    """Give the modules what they take from typing for type checkers alone, so that signatures can be read in full."""
    for name, module in list(sys.modules.items()):
        if name.startswith("peewee_conv.") and "TYPE_CHECKING" in vars(module):
            for block in ast.parse(inspect.getsource(module)).body:
                if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
                    # Not modules of the package: a few of them need extras.
                    types = [node for node in block.body if not getattr(node, "level", 0)]
                    exec(compile(ast.Module(types, []), module.__file__, "exec"), vars(module))


load_types()


def setup(app):
    app.connect("autodoc-process-signature", hide_signature)
