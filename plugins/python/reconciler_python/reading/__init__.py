"""Documents of an index, as plain records and units.

Comes in: pages, filenames, parts of archives, all of them hostile. Goes out: units, or a refusal
with its reason. Must never know: options, decisions.

    media_types ..... which reader a page is for
    documents ....... JSON documents of the simple API -> records; html_documents: the same of HTML
    digests ......... digests as upstream declares them; upload_times: the same of times
    filenames ....... what a filename says: version, package type
    units ........... records of one project -> units, or a refusal with its reason
    core_metadata ... what a file requires: from beside it, or out of parts of it (partial_files);
                      bounded_requirements: one requirement; pins: whether it names one version
    archives ........ METADATA out of a wheel or a zip file; sdists: PKG-INFO out of a tar
"""

__all__: list[str] = []
