"""The conduit of this plugin's reading: with its options and its filters."""

from __future__ import annotations

from reconciler.plugin import ReadConduit
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions

Conduit = ReadConduit[SelectionOptions, FilterOptions]
