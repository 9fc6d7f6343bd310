"""A new plugin's distribution: the files that `reconciler plugins new` writes, which work as they
are written.

Comes in: a name and a folder. Goes out: the files of a distribution, rendered from the templates
beside this module: a path in `templates` is the path in the distribution, `PACKAGE` stands for the
package's name and `NAME` for the plugin's. Must never know: SQL, manifests, the engine, nor the
plugin door that the written code goes through.
"""

from reconciler.scaffold.names import Names
from reconciler.scaffold.writer import write

__all__ = ["Names", "write"]
