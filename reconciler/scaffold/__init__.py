"""The distribution of a new plugin, which `reconciler plugins new` writes; files of a new folder.

Comes in: a name and a folder. Goes out: the files of a distribution, rendered from the templates
beside this module, which work as written. A path in `templates` is the path in the distribution,
where `PACKAGE` stands for the package's name and `NAME` for the plugin's. Must never know: SQL,
manifests, the engine, or the plugin API that the written code uses.
"""

from reconciler.scaffold.names import Names
from reconciler.scaffold.writer import write, write_files

__all__ = ["Names", "write", "write_files"]
