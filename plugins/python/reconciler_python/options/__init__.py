"""The keys of a source and of a Filter, as option models.

Comes in: the YAML of a manifest. Goes out: options whose values are read once (`included`,
`required`, `targets` ...). Must never know: units, decisions, the index.

    source_options ... `SelectionOptions`: the keys of a `remote` source of type `python`
    filter_options ... `FilterOptions`: the keys of a Filter, and of a source's own `filter`
    upload_times ..... types of the keys about upload times: `minAge`, `uploadedBefore`
"""

__all__: list[str] = []
