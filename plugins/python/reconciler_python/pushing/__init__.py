"""Distributions as an index elsewhere takes them: its pages read, its form filled in.

index_names ......... what a name means: a well-known index, a section of `.pypirc`; its pages
trusted_publishing .. a token of CI exchanged for one of the index
upload_form ......... a distribution -> the legacy upload form
index_answers ....... what an index means by an answer that is no success
index_exporter ...... all of it, for the core
"""

__all__: list[str] = []
