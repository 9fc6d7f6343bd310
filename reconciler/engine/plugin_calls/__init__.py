"""Everything between the core and the code of plugins.

Conduits that close when the call returns, time limits, scratchpads, working directories, worker
threads, and the error texts in which a plugin's failure is named. Knows no repository, no source
and no plan.
"""

__all__: list[str] = []
