"""Distributions that people and CI send: checked step by step, then taken as units.

Each step has its module, and each refusal a code and a sentence:

refusals ........ what a client is told
form ............ the fields of the legacy upload form, and how they agree with the file
zip_archives .... whether a zip is safe, and means the same to all readers
wheels .......... whether a wheel is whole: its members, its metadata
sdists .......... the same of a source distribution
core_metadata ... whether metadata follows its specification and is about this file
uploaded_files .. all steps together: a file -> its unit
attestations .... what signs a file, and says where it was built -> its provenance object
legacy_api ...... the endpoint of twine and its like: requests and answers
"""

__all__: list[str] = []
