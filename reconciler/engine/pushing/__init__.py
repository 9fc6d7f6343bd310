"""From a publication to indexes elsewhere: what they lack is sent, and nothing there is changed.

Comes in: a publication and the units that it shows. Goes out: for a plan what would be sent, for an
apply files that have arrived, and an error for every one that has not. Must never know: what a page
or a form of an index looks like (the exporter of the plugin does), how a version came to be.

Reading order: `index_target` (one index: its addresses, pages and credentials), `logins` (how an
exporter obtains those), `comparison` (what is missing there, what differs), `shown_units` (what a
publication shows, now or by a plan), `index_comparison` (all of it), `planned_pushes` (a plan),
`form_bodies` (one file as the body of a request), `deliveries` (one file until it is there),
`pushes` (all of them, in order). `exporter_faults` tells errors of an index from those of a plugin.
"""

__all__: list[str] = []
