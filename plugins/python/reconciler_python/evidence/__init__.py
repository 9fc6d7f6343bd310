"""Evidence of files that decides: licences, attestations, advisories.

Comes in: option models, and facts in a unit's metadata. Goes out: reasons to keep a file out. Must
never know: how facts are fetched (`selecting.evidence_facts`).

    licences ......... `licenses`: expressions (spdx), classifiers (licence_classifiers)
    attestations ..... `attestations`: publishers, and who signed (provenance, signers)
    advisories ....... `osv`: records (osv_records) of a dump (osv_dump, osv_files)
"""

__all__: list[str] = []
