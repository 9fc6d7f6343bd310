"""`License ::` classifiers as SPDX expressions.

A classifier that can mean several licences stands for all of them: it passes only where every
candidate is allowed. The exception is `Apache Software License`, which means Apache-2.0: in
practice nothing else occurs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_OSI: Final = "License :: OSI Approved :: "
_SAYS_NOTHING: Final = frozenset(
    {"License :: OSI Approved", "License :: DFSG approved", "License :: Freely Distributable"}
)

_APPROVED: Final = {
    "Academic Free License (AFL)": "AFL-1.1 AND AFL-1.2 AND AFL-2.0 AND AFL-2.1 AND AFL-3.0",
    "Apache Software License": "Apache-2.0",
    "Apple Public Source License": "APSL-1.0 AND APSL-1.1 AND APSL-1.2 AND APSL-2.0",
    "Artistic License": "Artistic-1.0 AND Artistic-2.0",
    "Attribution Assurance License": "AAL",
    "BSD License": "BSD-2-Clause AND BSD-3-Clause",
    "Blue Oak Model License (BlueOak-1.0.0)": "BlueOak-1.0.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CEA CNRS Inria Logiciel Libre License, version 2.1 (CeCILL-2.1)": "CECILL-2.1",
    "CMU License (MIT-CMU)": "MIT-CMU",
    "Common Development and Distribution License 1.0 (CDDL-1.0)": "CDDL-1.0",
    "Common Public License": "CPL-1.0",
    "Eclipse Public License 1.0 (EPL-1.0)": "EPL-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "Educational Community License, Version 2.0 (ECL-2.0)": "ECL-2.0",
    "Eiffel Forum License": "EFL-1.0 AND EFL-2.0",
    "European Union Public Licence 1.0 (EUPL 1.0)": "EUPL-1.0",
    "European Union Public Licence 1.1 (EUPL 1.1)": "EUPL-1.1",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU Free Documentation License (FDL)": "GFDL-1.1-only AND GFDL-1.2-only AND GFDL-1.3-only",
    "GNU General Public License (GPL)": "GPL-2.0-only AND GPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": (
        "LGPL-2.0-only AND LGPL-2.1-only AND LGPL-3.0-only"
    ),
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "IBM Public License": "IPL-1.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "MirOS License (MirOS)": "MirOS",
    "Mozilla Public License 1.0 (MPL)": "MPL-1.0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Mulan Permissive Software License v2 (MulanPSL-2.0)": "MulanPSL-2.0",
    "NASA Open Source Agreement v1.3 (NASA-1.3)": "NASA-1.3",
    "Open Software License 3.0 (OSL-3.0)": "OSL-3.0",
    "PostgreSQL License": "PostgreSQL",
    "Python Software Foundation License": "PSF-2.0 AND Python-2.0",
    "Qt Public License (QPL)": "QPL-1.0",
    "SIL Open Font License 1.1 (OFL-1.1)": "OFL-1.1",
    "Sleepycat License": "Sleepycat",
    "The Unlicense (Unlicense)": "Unlicense",
    "Universal Permissive License (UPL)": "UPL-1.0",
    "University of Illinois/NCSA Open Source License": "NCSA",
    "Vovida Software License 1.0": "VSL-1.0",
    "W3C License": "W3C",
    "X.Net License": "Xnet",
    "Zero-Clause BSD (0BSD)": "0BSD",
    "Zope Public License": "ZPL-1.1 AND ZPL-2.0 AND ZPL-2.1",
    "zlib/libpng License": "Zlib AND libpng-2.0",
}
_OTHERS: Final = {
    "License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "License :: CeCILL-B Free Software License Agreement (CECILL-B)": "CECILL-B",
    "License :: CeCILL-C Free Software License Agreement (CECILL-C)": "CECILL-C",
}


def classifiers_expression(classifiers: Sequence[str]) -> tuple[str, str]:
    """Return (expression, unknown classifier), one of which is empty.

    The expression joins all that the classifiers name by `AND`. Where a classifier is not in the
    table, it is returned instead.
    """
    expressions: list[str] = []
    for classifier in sorted(set(classifiers) - _SAYS_NOTHING):
        expression = (
            _APPROVED.get(classifier.removeprefix(_OSI))
            if classifier.startswith(_OSI)
            else _OTHERS.get(classifier)
        )
        if expression is None:
            return "", classifier.removeprefix(_OSI).removeprefix("License :: ")
        expressions.append(expression)
    return " AND ".join(expressions), ""
