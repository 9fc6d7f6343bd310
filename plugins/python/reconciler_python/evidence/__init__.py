"""What files prove, read where a filter asks.

gathering ........ reads it, for the files that everything else lets in
licences ......... `licenses`: expressions (spdx), classifiers (licence_classifiers)
attestations ..... `attestations`: publishers, and who signed (provenance)
advisories ....... `osv`: records (osv_records) of a dump (osv_dump, osv_files)
"""

__all__: list[str] = []
